"""The paper's generator: an RRDB trunk and one refine stage per x2 step."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import RRDB, Topology, Upsampling, conv3, leaky_relu, upsampler
from facehall.models.layers.dense import Memory, checkpointed, dense
from facehall.models.layers.execution import Execution
from facehall.models.layers.scales import accumulated_scales, upsampling_factors


class RefineBlock(nn.Module):
    """Multi-scale refine block (the paper's secs. 4.5 and 6).

    Combines coarser scales with new detail: the upsampled features are fused with projected features of every coarser
    scale, three densely connected convolutions add `growth` channels each, and a 1x1 convolution maps the result back
    to a residual on the features.

    Args:
        features: channels of this scale, in and out.
        carried: channels of each coarser scale's features, coarsest first.
        carry: channels contributed by each coarser scale.
        growth: channels added per convolution.
        memory: what is kept for the backward pass, as in `RRDB`.

    Shapes: (B, features, H, W) and a list of coarser (B, c_i, h_i, w_i) -> (B, features, H, W).
    """

    LAYERS = 3

    def __init__(
        self, features: int, carried: list[int], carry: int, growth: int, memory: Memory = "efficient"
    ) -> None:
        super().__init__()
        self.memory: Memory = memory
        # Projected before upsampling: a 1x1 convolution commutes with nearest upsampling and is cheaper at low size.
        self.project = nn.ModuleList(nn.Conv2d(channels, carry, kernel_size=1) for channels in carried)
        self.fuse = nn.Conv2d(features + carry * len(carried), features, kernel_size=1)
        self.layers = nn.ModuleList(conv3(features + i * growth, growth) for i in range(self.LAYERS))
        self.fold = nn.Conv2d(features + self.LAYERS * growth, features, kernel_size=1)
        self.activation = leaky_relu(inplace=memory != "naive")

    def forward(self, x: Tensor, carried: list[Tensor]) -> Tensor:
        return checkpointed(self._refine, x, carried) if self.memory == "recompute" else self._refine(x, carried)

    def _refine(self, x: Tensor, carried: list[Tensor]) -> Tensor:
        size = x.shape[-2:]
        lifted = [
            F.interpolate(project(features), size=size, mode="nearest")
            for project, features in zip(self.project, carried, strict=True)
        ]
        x = self.activation(self.fuse(torch.cat([x, *lifted], dim=1)))
        return x + dense(x, [*self.layers, self.fold], self.memory)


class Stage(nn.Module):
    """Upsampling, refine block and RGB head of one scale.

    Shapes: features (B, C_in, h, w) and the coarser scales' features -> features (B, C, f h, f w) and an RGB
    residual (B, 3, f h, f w).
    """

    def __init__(
        self,
        in_channels: int,
        features: int,
        carried: list[int],
        carry: int,
        growth: int,
        factor: int,
        upsampling: Upsampling,
        memory: Memory = "efficient",
    ) -> None:
        super().__init__()
        self.up = upsampler(in_channels, features, factor, memory != "naive", upsampling)
        self.refine = RefineBlock(features, carried, carry, growth, memory)
        self.head = conv3(features, 3)
        for parameter in self.head.parameters():  # an untrained network outputs the bicubic image
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, carried: list[Tensor]) -> tuple[Tensor, Tensor]:
        x = self.refine(self.up(x), carried)
        return x, self.head(x)


class MultiScaleRRDB(Generator):
    """RRDB trunk at input resolution, then one refine stage per upsampling step (parts P1-P4 of the paper).

    Each stage outputs an RGB residual added to the bicubic upscaling of the input, so one x8 network also gives x2 and
    x4.

    Args:
        scale: 2, 3 (a single stage), 4 or 8.
        blocks: T, RRDBs in the trunk.
        dense_blocks: D, residual dense blocks per RRDB.
        convs: C, densely connected convolutions per dense block.
        features: G0, channels of the trunk.
        growth: G, channels added by each of these convolutions.
        topology: arrangement of the dense blocks of an RRDB, ``sequential`` or ``parallel``.
        stage_features: channels at each refined scale.
        stage_growth: channels added by each of a refine block's three convolutions.
        carry: channels contributed to a refine block by each coarser scale.
        upsampling: ``pixel_shuffle`` or ``nearest`` (see `upsampler`).
        memory: what dense blocks keep for the backward pass: ``efficient``, ``recompute`` or ``naive`` (see `RRDB`).
        execution: how parallel dense blocks run: ``in_turn``, ``threads`` or ``grouped`` (see `RRDB`).
    """

    @records_arguments
    def __init__(
        self,
        scale: int = 4,
        blocks: int = 4,
        dense_blocks: int = 3,
        convs: int = 4,
        features: int = 32,
        growth: int = 16,
        topology: Topology = "sequential",
        stage_features: int = 32,
        stage_growth: int = 16,
        carry: int = 8,
        upsampling: Upsampling = "pixel_shuffle",
        memory: Memory = "efficient",
        execution: Execution | None = None,
    ) -> None:
        super().__init__()
        if upsampling not in get_args(Upsampling):
            raise ValueError(f"upsampling must be one of {', '.join(get_args(Upsampling))}, not {upsampling!r}")
        self.scale = scale
        self.factors = upsampling_factors(scale)
        self.first = conv3(3, features)
        self.trunk = nn.Sequential(
            *(RRDB(features, growth, convs, dense_blocks, topology, memory, execution) for _ in range(blocks)),
            conv3(features, features),
        )
        self.stages = nn.ModuleList()
        carried, channels = [features], features
        for factor in self.factors:
            self.stages.append(
                Stage(channels, stage_features, carried, carry, stage_growth, factor, upsampling, memory)
            )
            carried = [*carried, channels]
            channels = stage_features

    @property
    def scales(self) -> tuple[int, ...]:
        return accumulated_scales(self.factors)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        shallow = self.first(lr)
        features = shallow + self.trunk(shallow)
        carried = [shallow]
        images = {}
        for scale, stage in zip(self.scales, self.stages, strict=True):
            coarser = features
            features, residual = stage(features, carried)
            carried = [*carried, coarser]
            images[scale] = upscale_bicubic(lr, scale) + residual
            if scale == up_to:
                break
        return images
