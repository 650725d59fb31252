"""EDSR: residual blocks without batch norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3
from facehall.models.layers.scales import upsampling_factors

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean RGB of DIV2K's training pictures, in [0, 1]."""
RANGE = 255.0
"""Range of values inside the network."""


def sub_pixel_upsampling(features: int, scale: int) -> nn.Sequential:
    """Return a sub-pixel convolution per upsampling step, without activation: (B, C, h, w) -> (B, C, s h, s w).

    Raises:
        ValueError: a scale other than 2, 3, 4 and 8.
    """
    steps = [(conv3(features, features * factor**2), nn.PixelShuffle(factor)) for factor in upsampling_factors(scale)]
    return nn.Sequential(*(layer for step in steps for layer in step))


class ResidualBlock(nn.Module):
    """x + residual_scale * conv(relu(conv(x))). (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, features: int, residual_scale: float) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1 = conv3(features, features)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3(features, features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.conv2(self.relu(self.conv1(x))), alpha=self.residual_scale)


class EDSR(Generator):
    """Residual blocks at input size, sub-pixel convolutions without activation, one convolution to RGB.

    Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution, 2017
    (arXiv:1707.02921), sec. 3. Images are centred on `DIV2K_MEAN` and scaled to `RANGE` inside. Initialisation is
    torch's default, as in the authors' code.

    Args:
        scale: 2, 3, 4 or 8.
        blocks: B: 16 in the baseline, 32 in the full network.
        features: F: 64 and 256.
        residual_scale: factor of each block's residual: 1 and 0.1; wide networks diverge without it (sec. 3.3).

    Shapes: (B, 3, h, w) in [0, 1] -> (B, 3, s h, s w).
    """

    mean: Tensor

    @records_arguments
    def __init__(self, scale: int = 4, blocks: int = 16, features: int = 64, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1))
        self.conv_first = conv3(3, features)
        self.body = nn.Sequential(*(ResidualBlock(features, residual_scale) for _ in range(blocks)))
        self.conv_after_body = conv3(features, features)
        self.upsample = sub_pixel_upsampling(features, scale)
        self.conv_last = conv3(features, 3)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.conv_first((lr - self.mean) * RANGE)
        x = x + self.conv_after_body(self.body(x))
        return {self.scale: self.conv_last(self.upsample(x)) / RANGE + self.mean}
