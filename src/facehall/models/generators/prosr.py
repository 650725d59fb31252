"""ProSR: an asymmetric pyramid of dense blocks that is trained progressively."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.edsr import DIV2K_MEAN, RANGE
from facehall.models.layers.blocks import RESIDUAL_SCALE
from facehall.models.layers.scales import pyramid_scales


class ReflectedConv(nn.Conv2d):
    """Convolution of a 3x3 kernel that reflects the image at its border; a side of one pixel is repeated."""

    def forward(self, x: Tensor) -> Tensor:
        mode = "reflect" if min(x.shape[-2:]) > 1 else "replicate"
        return super().forward(F.pad(x, (1, 1, 1, 1), mode=mode))


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return _zero_bias(ReflectedConv(in_channels, out_channels, 3))


def conv1(in_channels: int, out_channels: int) -> nn.Conv2d:
    return _zero_bias(nn.Conv2d(in_channels, out_channels, 1))


def compression(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class DenseLayer(nn.Module):
    """1x1 convolution to 4 `growth` channels, ReLU, 3x3 convolution to `growth`, concatenated to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv1(channels, 4 * growth), nn.ReLU(), conv3(4 * growth, growth))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


class ResidualDenseCompression(nn.Module):
    """Dense layers, compressed to the input's channels; 0.2 times the result is added to the input."""

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        super().__init__()
        dense = [DenseLayer(channels + i * growth, growth) for i in range(layers)]
        self.layers = nn.Sequential(*dense, compression(channels + layers * growth, channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.layers(x), alpha=RESIDUAL_SCALE)


class Level(nn.Module):
    """One x2 level: dense blocks, a convolution, and sub-pixel upsampling with a ReLU.

    Args:
        channels: of the input.
        blocks: dense layers of each block.
        growth: channels added by a dense layer.
        residual: blocks keep the channels and are skipped, as is the whole level (ProSR). Otherwise channels grow,
            and are compressed to 40 % between blocks (ProSRs).
        first: the coarsest level; others of a network without residuals start by halving the channels.
        widest: maximum channels of the convolution before the upsampling.

    Shapes: (B, channels, h, w) -> (B, self.channels, 2h, 2w) and a residual image (B, 3, 2h, 2w).
    """

    def __init__(
        self, channels: int, blocks: Sequence[int], growth: int, residual: bool, first: bool, widest: int
    ) -> None:
        super().__init__()
        self.residual = residual
        layers: list[nn.Module] = []
        if residual:
            layers += [ResidualDenseCompression(channels, count, growth) for count in blocks]
        else:
            if not first:
                layers.append(compression(channels, channels // 2))
                channels //= 2
            for i, count in enumerate(blocks):
                if i:
                    layers.append(compression(channels, int(0.4 * channels)))
                    channels = int(0.4 * channels)
                layers += [DenseLayer(channels + j * growth, growth) for j in range(count)]
                channels += count * growth
            if channels > widest:
                layers.append(compression(channels, widest))
                channels = widest
        self.trunk = nn.Sequential(*layers, conv3(channels, channels))
        self.up = nn.Sequential(conv3(channels, 4 * channels), nn.PixelShuffle(2), nn.ReLU())
        self.head = conv3(channels, 3)
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.trunk(x)
        x = self.up(trunk + x if self.residual else trunk)
        return x, self.head(x)


class ProSR(Generator):
    """ProSR and ProSRs (Wang et al., A Fully Progressive Approach to Single-Image Super-Resolution, 2018).

    Levels of densely connected blocks, most of them in the coarsest, each ending in x2 upsampling and an RGB head
    whose output is a residual on the bicubic image. Inside, values are those of 8 bits less DIV2K's mean colour.

    Trained progressively by a curriculum: x2 alone; then x4 fades in, its output starting as the bilinear upsampling of
    the residual of x2; and so on. Each target scale has its own first convolution, so that `pyramid(lr, 2)` and the x2
    image of `pyramid(lr)`, which serves the coarser terms of losses and fading, differ.

    Args:
        scale: 2, 4 or 8.
        blocks: dense layers of each block of each level, coarsest level first; only the scale's levels are built.
        features: channels of the first convolutions.
        growth: channels added by a dense layer.
        residual: ProSR's residual blocks and levels; without, ProSRs's compressions.

    Raises:
        ValueError: another scale, or fewer levels in `blocks` than the scale needs.
    """

    fades_in = True
    WIDEST = 312

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: Sequence[Sequence[int]] = ((6, 6, 6, 6), (6, 6), (6,)),
        features: int = 24,
        growth: int = 12,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        count = len(pyramid_scales(scale))
        if len(blocks) < count or not all(blocks):
            raise ValueError(f"blocks must list the blocks of {count} levels for x{scale}, not {blocks}")
        self.firsts = nn.ModuleList(conv3(3, features) for _ in range(count))
        levels: list[Level] = []
        for own in blocks[:count]:
            channels = levels[-1].channels if levels else features
            levels.append(Level(channels, own, growth, residual, first=not levels, widest=self.WIDEST))
        self.levels = nn.ModuleList(levels)
        self.register_buffer("fade", torch.ones(()), persistent=False)
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN)[:, None, None], persistent=False)

    fade: Tensor
    mean: Tensor

    @property
    def scales(self) -> tuple[int, ...]:
        return pyramid_scales(self.scale)

    def set_fade(self, share: float) -> None:
        self.fade.fill_(share)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        count = self.scales.index(up_to or self.scale) + 1
        x = self.firsts[count - 1]((lr - self.mean) * RANGE)
        residuals: list[Tensor] = []
        for level in list(self.levels)[:count]:
            x, residual = level(x)
            residuals.append(residual)
        if self.training and count > 1:
            coarser = F.interpolate(residuals[-2], scale_factor=2, mode="bilinear", align_corners=True)
            residuals[-1] = torch.lerp(coarser, residuals[-1], self.fade.to(coarser.dtype))
        return {
            scale: upscale_bicubic(lr, scale) + residual / RANGE
            for scale, residual in zip(self.scales, residuals, strict=False)
        }


def _zero_bias(conv: nn.Conv2d) -> nn.Conv2d:
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
