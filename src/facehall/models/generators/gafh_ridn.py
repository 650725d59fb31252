"""GAFH-RIDN, a face hallucination generator of nested dense blocks."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RESIDUAL_SCALE, conv3, leaky_relu, upsampler
from facehall.models.layers.scales import upsampling_factors

Skip = Literal["own", "block"]
Output = Literal["linear", "tanh"]

INNER_BLOCKS = 4


class InnerBlock(nn.Module):
    """Two activated convolutions; the second also reads the input. (B, C, h, w) -> (B, C, h, w), without a skip."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv3(features, growth)
        self.conv2 = conv3(features + growth, features)
        self.activation = leaky_relu()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.conv1(x))
        return self.activation(self.conv2(torch.cat([x, inner], dim=1)))


class RIDB(nn.Module):
    """Residual in internal dense block: four inner blocks, each with a skip, and a convolution; a scaled residual.

    Args:
        skip: added to an inner block's result: ``own``, the inner block's input, or ``block``, the RIDB's input.

    Shapes: (B, C, h, w) -> (B, C, h, w).
    """

    def __init__(self, features: int, growth: int, skip: Skip) -> None:
        super().__init__()
        self.skip = skip
        self.inner = nn.ModuleList(InnerBlock(features, growth) for _ in range(INNER_BLOCKS))
        self.conv = conv3(features, features)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for block in self.inner:
            out = block(out) + (out if self.skip == "own" else x)
        return torch.add(x, self.conv(out), alpha=RESIDUAL_SCALE)


class DNB(nn.Module):
    """Dense nested block: x + 0.2 times the result of a row of RIDBs. (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, features: int, growth: int, ridbs: int, skip: Skip) -> None:
        super().__init__()
        self.ridbs = nn.Sequential(*(RIDB(features, growth, skip) for _ in range(ridbs)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.ridbs(x), alpha=RESIDUAL_SCALE)


class GAFHRIDN(Generator):
    """GAFH-RIDN (Wang et al., End-to-End Generative Adversarial Face Hallucination Through Residual in Internal Dense
    Network, EUSIPCO 2021, Fig. 2).

    9x9 convolution; dense nested blocks, a convolution and batch norm with a skip around them all; a sub-pixel
    convolution and leaky ReLU per x2 (or x3) step; 9x9 convolution. The paper does not give the widths in a RIDB, the
    scale of its residual (0.2 here, as stated for the DNB) and the layers of the upsampling, and text and figure
    disagree on the skips of the inner blocks.

    Args:
        scale: 2, 3, 4 or 8; 8 in the paper.
        blocks: DNBs; 4 in the paper.
        ridbs: RIDBs per DNB; 3 in the paper.
        features: channels; 64 in the paper.
        growth: channels of an inner block's first convolution; None: `features`.
        skip: of the inner blocks, ``own`` or ``block``, see `RIDB`.
        output: ``tanh``, mapped to [0, 1], as in the paper, or ``linear``.

    Raises:
        ValueError: another scale, skip or output.
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 8,
        blocks: int = 4,
        ridbs: int = 3,
        features: int = 64,
        growth: int | None = None,
        skip: Skip = "own",
        output: Output = "tanh",
    ) -> None:
        super().__init__()
        for name, value, known in (("skip", skip, Skip), ("output", output, Output)):
            if value not in get_args(known):
                raise ValueError(f"{name} must be {' or '.join(get_args(known))}, not {value!r}")
        self.scale = scale
        self.output = output
        self.first = nn.Conv2d(3, features, kernel_size=9, padding=4)
        self.trunk = nn.Sequential(
            *(DNB(features, growth or features, ridbs, skip) for _ in range(blocks)),
            nn.Conv2d(features, features, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(features),
        )
        self.up = nn.Sequential(*(upsampler(features, features, factor) for factor in upsampling_factors(scale)))
        self.last = nn.Conv2d(features, 3, kernel_size=9, padding=4)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        x = self.first(lr)
        x = self.last(self.up(x + self.trunk(x)))
        return {self.scale: (x.tanh() + 1) / 2 if self.output == "tanh" else x}
