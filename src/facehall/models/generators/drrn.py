"""DRRN: residual units with shared weights."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3, init_scaled_he_


class RecursiveBlock(nn.Module):
    """A convolution, then `units` residual units with the same two convolutions, all added to its output (eqs. 5, 6).

    A unit is batch norm, ReLU and convolution, twice. The convolutions are shared by the units, the batch norms are
    not, since the units' statistics differ.

    Args:
        in_channels: 1, the image, for the first block.
        features: channels.
        units: U.

    Shapes: (B, in_channels, H, W) -> (B, features, H, W).
    """

    def __init__(self, in_channels: int, features: int, units: int) -> None:
        super().__init__()
        first = conv3(in_channels, features)
        self.first = first if in_channels == 1 else nn.Sequential(_activation(in_channels), first)
        self.conv1 = conv3(features, features)
        self.conv2 = conv3(features, features)
        self.before1 = nn.ModuleList(_activation(features) for _ in range(units))
        self.before2 = nn.ModuleList(_activation(features) for _ in range(units))

    def forward(self, x: Tensor) -> Tensor:
        start = x = self.first(x)
        for before1, before2 in zip(self.before1, self.before2, strict=True):
            x = start + self.conv2(before2(self.conv1(before1(x))))
        return x


class DRRN(Generator):
    """Recursive blocks and a last convolution on the bicubic luma, added to it.

    Tai, Yang, Liu, Image Super-Resolution via Deep Recursive Residual Network, 2017 (CVPR), sec. 3. He initialisation,
    biases 0.

    Args:
        scale: of the bicubic enlargement; the layers do not depend on it.
        blocks: B, 1 in the paper's best networks.
        units: U, residual units of a block: 9 or 25.
        features: channels, 128 in the paper.

    Shapes: bicubic luma (B, 1, s h, s w) in [0, 1] -> luma of that shape.
    """

    input = "bicubic"
    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4, blocks: int = 1, units: int = 9, features: int = 128) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {blocks}")
        self.scale = scale
        self.blocks = nn.Sequential(*(RecursiveBlock(features if i else 1, features, units) for i in range(blocks)))
        self.before_last = _activation(features)
        self.last = conv3(features, 1)
        init_scaled_he_(self, 1.0)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: lr + self.last(self.before_last(self.blocks(lr)))}


def _activation(features: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(features), nn.ReLU(inplace=True))
