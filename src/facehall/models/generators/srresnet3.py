"""The paper's second description of its generator (sec. 4.1), which contradicts the RRDB one; kept as an option."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3, upsampler
from facehall.models.layers.scales import upsampling_factors


class TripleBlock(nn.Module):
    """Three groups of convolution, batch norm and ReLU with a skip around them. (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        groups = [(conv3(features, features), nn.BatchNorm2d(features), nn.ReLU()) for _ in range(3)]
        self.groups = nn.Sequential(*(layer for group in groups for layer in group))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.groups(x)


class SRResNet3(Generator):
    """Convolution and ReLU, residual blocks of three (conv, BN, ReLU), stepwise sub-pixel upsampling, convolution.

    Args:
        scale: 2, 3, 4 or 8.
        blocks: B, residual blocks.
        features: channels.
    """

    @records_arguments
    def __init__(self, scale: int = 4, blocks: int = 8, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Sequential(conv3(3, features), nn.ReLU())
        self.body = nn.Sequential(*(TripleBlock(features) for _ in range(blocks)))
        self.up = nn.Sequential(*(upsampler(features, features, factor) for factor in upsampling_factors(scale)))
        self.last = conv3(features, 3)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.first(lr)
        return {self.scale: self.last(self.up(x + self.body(x)))}
