"""PFSR: progressive face super-resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3
from facehall.models.layers.equalized import EqualizedConv3
from facehall.models.layers.scales import pyramid_scales


class ResidualBlock(nn.Module):
    """Twice a convolution of equalised learning rate, batch norm and ReLU, with a skip. (B, C, h, w) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [(EqualizedConv3(channels, channels), nn.BatchNorm2d(channels), nn.ReLU()) for _ in range(2)]
        self.layers = nn.Sequential(*(layer for triple in layers for layer in triple))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Stage(nn.Module):
    """One x2 stage: a residual block, and a transposed 4x4 convolution that halves the channels, with batch norm.

    Shapes: (B, C, h, w) -> features (B, C / 2, 2h, 2w) and an image (B, 3, 2h, 2w) in [-1, 1].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.layers = nn.Sequential(
            ResidualBlock(channels),
            nn.ConvTranspose2d(channels, half, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(half, 3, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layers(x)
        return x, self.head(x)


def stages(scale: int, channels: int) -> nn.ModuleList:
    """Return the stages of a network of `channels` at LR size, halved by each.

    Raises:
        ValueError: the scale is not 2, 4 or 8, or the channels cannot be halved so often.
    """
    count = len(pyramid_scales(scale))
    if channels < 1 or channels % 2**count:
        raise ValueError(f"channels must be a multiple of {2**count} for x{scale}, not {channels}")
    return nn.ModuleList(Stage(channels // 2**i) for i in range(count))


def faded(images: Sequence[Tensor], share: Tensor) -> list[Tensor]:
    """Return the images, coarsest first, the finest blended with the nearest-neighbour enlargement of the one before.

    Args:
        share: of the finest image, 0 to 1.
    """
    if len(images) == 1:
        return list(images)
    *coarser, finest = images
    enlarged = F.interpolate(coarser[-1], scale_factor=2, mode="nearest")
    return [*coarser, torch.lerp(enlarged, finest, share.to(enlarged.dtype))]


class PFSR(Generator):
    """PFSR (Kim, Kim, Kwon, Kim, Progressive Face Super-Resolution via Attention to Facial Landmark, BMVC 2019).

    A convolution to `channels` with batch norm, then x2 stages, each of which halves the channels and has its RGB head.
    Trained progressively by a curriculum: a new scale starts as the nearest-neighbour enlargement of the scale before,
    and fades in. Inside, values are in [-1, 1]. Made for whole aligned faces, 16x16 to 128x128 in the paper.

    Args:
        scale: 2, 4 or 8.
        channels: at LR size; 512 in the paper.

    Raises:
        ValueError: another scale, or channels that cannot be halved in each stage.
    """

    fades_in = True

    @records_arguments
    def __init__(self, scale: int = 8, channels: int = 512) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Sequential(conv3(3, channels), nn.BatchNorm2d(channels), nn.ReLU())
        self.stages = stages(scale, channels)
        self.register_buffer("fade", torch.ones(()), persistent=False)

    fade: Tensor

    @property
    def scales(self) -> tuple[int, ...]:
        return pyramid_scales(self.scale)

    def set_fade(self, share: float) -> None:
        self.fade.fill_(share)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        count = self.scales.index(up_to or self.scale) + 1
        x = self.first(2 * lr - 1)
        images: list[Tensor] = []
        for stage in list(self.stages)[:count]:
            x, image = stage(x)
            images.append((image + 1) / 2)
        if self.training:
            images = faded(images, self.fade)
        return dict(zip(self.scales, images, strict=False))
