"""SPSR: an RRDB network guided by a branch that predicts the gradient map of the SR image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from facehall.imaging import gradient_map
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RRDB, conv3, enlargement_x4, leaky_relu
from facehall.models.layers.dense import Memory

Fusion = Literal["rrdb", "conv"]


class SPSR(Generator):
    """SPSR x4 (Ma et al., Structure-Preserving Super Resolution with Gradient Guidance, CVPR 2020, Fig. 2).

    The image branch is RRDBNet without its last layers. The gradient branch starts from LR's `gradient_map` and takes
    in, one after another, the image branch's features after some of its RRDBs, with an RRDB of twice the channels and a
    convolution for each. Both are upsampled alike; the gradient branch gives SR's gradient map by a 1x1 convolution,
    and both branches' features, fused, give the image.

    `outputs` also returns ``gradient``, the predicted gradient map, (B, 3, 4h, 4w).

    Args:
        blocks: RRDBs of the image branch; 23 in the paper.
        features: channels of each branch; 64 in the paper.
        growth: G of all RRDBs; 32 in the paper.
        taps: numbers of the RRDBs, counted from 1, whose output enters the gradient branch, in increasing order.
        fusion: of both branches at SR size: ``rrdb``, an RRDB of twice the channels and a convolution (the paper), or
            ``conv``, the convolution alone, which saves most of the cost.
        memory: what dense blocks keep for the backward pass, see `RRDB`.

    Raises:
        ValueError: taps that are not increasing numbers of RRDBs, or another fusion.
    """

    scale = 4
    provides = ("pyramid", "gradient")

    @records_arguments
    def __init__(
        self,
        blocks: int = 23,
        features: int = 64,
        growth: int = 32,
        taps: Sequence[int] = (5, 10, 15, 20),
        fusion: Fusion = "rrdb",
        memory: Memory = "efficient",
    ) -> None:
        super().__init__()
        if not taps or list(taps) != sorted(set(taps)) or not 1 <= taps[0] <= taps[-1] <= blocks:
            raise ValueError(f"taps must be increasing numbers from 1 to blocks={blocks}, not {list(taps)}")
        if fusion not in get_args(Fusion):
            raise ValueError(f"fusion must be {' or '.join(get_args(Fusion))}, not {fusion!r}")
        self.taps = tuple(taps)
        self.first = conv3(3, features)
        self.body = nn.ModuleList(RRDB(features, growth, convs=4, memory=memory) for _ in range(blocks))
        self.conv_body = conv3(features, features)
        self.enlarge = enlargement_x4(features, features)
        self.gradient_first = conv3(3, features)
        self.gradient_blocks = nn.ModuleList(
            nn.Sequential(RRDB(2 * features, growth, convs=4, memory=memory), conv3(2 * features, features))
            for _ in taps
        )
        self.gradient_conv = conv3(features, features)
        self.gradient_enlarge = enlargement_x4(features, features)
        self.gradient_last = nn.Conv2d(features, 3, kernel_size=1)
        fuse = [RRDB(2 * features, growth, convs=4, memory=memory)] if fusion == "rrdb" else []
        self.fuse = nn.Sequential(
            *fuse, conv3(2 * features, features), conv3(features, features), leaky_relu(), conv3(features, 3)
        )

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {4: self._predict(lr)[0]}

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        image, gradient = self._predict(lr)
        return {"pyramid": {4: image}, "gradient": self.gradient_last(gradient)}

    def _predict(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Return the SR image, (B, 3, 4h, 4w), and the gradient branch's features, (B, features, 4h, 4w)."""
        first = x = self.first(lr)
        tapped = []
        for number, block in enumerate(self.body, 1):
            x = block(x)
            if number in self.taps:
                tapped.append(x)
        image = self.enlarge(first + self.conv_body(x))
        gradient_first = gradient = self.gradient_first(gradient_map(lr))
        for block, features in zip(self.gradient_blocks, tapped, strict=True):
            gradient = block(torch.cat([gradient, features], dim=1))
        gradient = self.gradient_enlarge(gradient_first + self.gradient_conv(gradient))
        return self.fuse(torch.cat([gradient, image], dim=1)), gradient
