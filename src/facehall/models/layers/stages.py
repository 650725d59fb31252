"""Residual blocks, and upsampling stages of them with an RGB output each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.layers.blocks import RESIDUAL_SCALE, Upsampling, conv3, upsampler
from facehall.models.layers.dense import NEGATIVE_SLOPE


class ResidualBlock(nn.Module):
    """x + 0.2 conv(leaky_relu(conv(x))), without batch norm (Lim et al. 2017). (B, C, h, w) -> (B, C, h, w).

    He initialisation, the second convolution at half of it: features keep their variance through any number of blocks,
    and large steps of Muon stay stable.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first, self.second = conv3(features, features), conv3(features, features)
        for conv, gain in ((self.first, 1.0), (self.second, 0.5)):
            nn.init.kaiming_normal_(conv.weight, a=NEGATIVE_SLOPE)
            nn.init.zeros_(conv.get_parameter("bias"))
            with torch.no_grad():
                conv.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.second(F.leaky_relu_(self.first(x), NEGATIVE_SLOPE)), alpha=RESIDUAL_SCALE)


def residual_blocks(features: int, count: int) -> list[ResidualBlock]:
    return [ResidualBlock(features) for _ in range(count)]


def stages_and_heads(
    channels: int,
    factors: Sequence[int],
    features: int,
    blocks: int,
    upsampling: Upsampling,
    full_resolution: bool = True,
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return one stage per upsampling step, (B, C, h, w) -> (B, C', f h, f w), and their heads, features -> RGB.

    A stage is an upsampling convolution, a leaky ReLU and residual blocks. The heads start at zero.

    Args:
        channels: of the features before the first stage.
        factors: enlargement by each stage.
        features: channels of the first stage; each further one has half as many.
        blocks: residual blocks of each stage.
        upsampling: see `upsampler`.
        full_resolution: whether the last stage has features; see `MultiScaleResNet`.

    Raises:
        ValueError: `features` that cannot be halved as often as required, or no stage below full resolution.
    """
    scale = math.prod(factors)
    count = len(factors) if full_resolution else len(factors) - 1  # stages with features
    if not count:
        raise ValueError(f"full_resolution=False needs two stages, but there is one at x{scale}")
    if features < 1 or features % 2 ** (count - 1):
        raise ValueError(f"stage_features must be a multiple of {2 ** (count - 1)} at x{scale}, not {features}")
    stages, heads = nn.ModuleList(), nn.ModuleList()
    for i, factor in enumerate(factors):
        if i < count:
            width = features // 2**i
            up = upsampler(channels, width, factor, upsampling=upsampling)
            stages.append(nn.Sequential(*up, *residual_blocks(width, blocks)))
            heads.append(conv3(width, 3))
            channels = width
        else:
            stages.append(nn.Identity())
            heads.append(nn.Sequential(conv3(channels, 3 * factor**2), nn.PixelShuffle(factor)))
    for parameter in heads.parameters():  # an untrained network outputs the bicubic image
        nn.init.zeros_(parameter)
    return stages, heads


def refined(
    lr: Tensor,
    features: Tensor,
    stages: Iterable[tuple[int, nn.Module, Callable[[Tensor], Tensor]]],
    up_to: int | None,
) -> dict[int, Tensor]:
    """Return the image at every scale, a residual on bicubic upscaling: {scale: (B, 3, scale h, scale w)}.

    Args:
        lr: (B, 3, h, w) in [0, 1].
        features: (B, C, h, w).
        stages: scale, stage and head, coarsest first; see `stages_and_heads`.
        up_to: the last scale to compute; None computes all.
    """
    images = {}
    for scale, stage, head in stages:
        features = stage(features)
        images[scale] = upscale_bicubic(lr, scale) + head(features)
        if scale == up_to:
            break
    return images
