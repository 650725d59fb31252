"""A residual trunk and one residual stage per x2 step: multi-scale outputs at a third of the cost of dense blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RESIDUAL_SCALE, Upsampling, conv3, upsampler
from facehall.models.layers.dense import NEGATIVE_SLOPE
from facehall.models.layers.scales import accumulated_scales, upsampling_factors


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


def refined(
    lr: Tensor, features: Tensor, stages: Iterable[tuple[int, nn.Module, nn.Module]], up_to: int | None
) -> dict[int, Tensor]:
    """Return the image at every scale, a residual on bicubic upscaling: {scale: (B, 3, scale h, scale w)}.

    Args:
        lr: (B, 3, h, w) in [0, 1].
        features: (B, C, h, w).
        stages: scale, stage (features -> features at that scale) and head (features -> RGB residual), coarsest first.
        up_to: the last scale to compute; None computes all.
    """
    images = {}
    for scale, stage, head in stages:
        features = stage(features)
        images[scale] = upscale_bicubic(lr, scale) + head(features)
        if scale == up_to:
            break
    return images


class MultiScaleResNet(Generator):
    """Residual blocks at input resolution, then one stage per upsampling step, each with an RGB output.

    The multi-scale refinement of the paper (sec. 4.5) with plain residual blocks in place of dense ones, whose
    convolutions of equal width run closer to a processor's peak. A stage is an upsampling convolution, a leaky ReLU and
    residual blocks; its head gives a residual on the bicubic upscaling of the input.

    Args:
        scale: 2, 3 (a single stage), 4 or 8.
        blocks: residual blocks of the trunk.
        features: channels of the trunk.
        stage_features: channels of the first stage; each further one has half as many.
        stage_blocks: residual blocks of each stage.
        upsampling: ``pixel_shuffle`` or ``nearest`` (see `upsampler`), at equal cost.
        position: side of the input in pixels for which a map of positions is learned, so that the network knows where
            in an aligned face it is; resized for other inputs, which are then processed whole. 0: none.
        full_resolution: whether the last stage has features. Without them its image comes from one sub-pixel
            convolution of the features before it: for networks that must be fast, as full resolution takes half of
            their time.

    Raises:
        ValueError: an unsupported scale, `stage_features` that cannot be halved as often as the scale requires, or no
            stage below full resolution.
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: int = 8,
        features: int = 64,
        stage_features: int = 32,
        stage_blocks: int = 1,
        upsampling: Upsampling = "pixel_shuffle",
        position: int = 0,
        full_resolution: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.factors = upsampling_factors(scale)
        stages = len(self.factors) if full_resolution else len(self.factors) - 1  # those with features
        if not stages:
            raise ValueError(f"full_resolution=False needs two stages, but there is one at x{scale}")
        halvings = stages - 1
        if stage_features < 1 or stage_features % 2**halvings:
            raise ValueError(f"stage_features must be a multiple of {2**halvings} at x{scale}, not {stage_features}")
        self.whole_picture = position > 0
        self.first = conv3(3, features)
        self.position = nn.Parameter(torch.zeros(1, features, position, position)) if position else None
        self.trunk = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)), conv3(features, features))
        self.stages, self.heads = nn.ModuleList(), nn.ModuleList()
        channels = features
        for i, factor in enumerate(self.factors):
            if i < stages:
                width = stage_features // 2**i
                refine = (ResidualBlock(width) for _ in range(stage_blocks))
                self.stages.append(nn.Sequential(*upsampler(channels, width, factor, upsampling=upsampling), *refine))
                self.heads.append(conv3(width, 3))
                channels = width
            else:
                self.stages.append(nn.Identity())
                self.heads.append(nn.Sequential(conv3(channels, 3 * factor**2), nn.PixelShuffle(factor)))
        for parameter in self.heads.parameters():  # an untrained network outputs the bicubic image
            nn.init.zeros_(parameter)

    @property
    def scales(self) -> tuple[int, ...]:
        return accumulated_scales(self.factors)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        shallow = self.first(lr)
        if self.position is not None:
            shallow = shallow + self._positions(lr.shape[-2:])
        features = shallow + self.trunk(shallow)
        return refined(lr, features, zip(self.scales, self.stages, self.heads, strict=True), up_to)

    def _positions(self, size: torch.Size) -> Tensor:
        assert self.position is not None
        if self.position.shape[-2:] == size:
            return self.position
        return F.interpolate(self.position, size=tuple(size), mode="bilinear", align_corners=False)
