"""The residual-in-residual dense block of ESRGAN and its parallel sibling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from facehall.models.layers.dense import (
    MEMORIES,
    NEGATIVE_SLOPE,
    Memory,
    checkpointed,
    dense,
    dense_branches,
    dense_grouped,
    is_capturing_graph,
)
from facehall.models.layers.execution import EXECUTIONS, Execution, runner

Topology = Literal["sequential", "parallel"]
Upsampling = Literal["pixel_shuffle", "nearest"]

RESIDUAL_SCALE = 0.2


def leaky_relu(inplace: bool = False) -> nn.Module:
    return nn.LeakyReLU(NEGATIVE_SLOPE, inplace)


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


@torch.no_grad()
def init_scaled_he_(module: nn.Module, factor: float = 0.1) -> None:
    """He initialisation times `factor`: deep residual stacks start near the identity (ESRGAN, sec. 3.1)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.mul_(factor)
            if layer.bias is not None:
                layer.bias.zero_()


class ResidualDenseBlock(nn.Module):
    """RDB: `convs` densely connected convolutions of `growth` channels, fused by one more, no batch norm.

    Args:
        features: G0, channels in and out.
        growth: G, channels that each convolution adds.
        convs: C, convolutions that grow; a last one without activation leads back to G0.
        memory: how they are connected, see `dense`.

    Shapes: (B, G0, h, w) -> (B, G0, h, w).
    """

    def __init__(self, features: int, growth: int, convs: int, memory: Memory = "efficient") -> None:
        super().__init__()
        self.convs = convs
        self.memory: Memory = memory
        for i in range(convs):  # conv1 … convC and the fusion conv(C+1): the names of the public ESRGAN weights
            setattr(self, f"conv{i + 1}", conv3(features + i * growth, growth))
        setattr(self, f"conv{convs + 1}", conv3(features + convs * growth, features))
        init_scaled_he_(self)

    @property
    def layers(self) -> list[nn.Conv2d]:
        return [getattr(self, f"conv{i + 1}") for i in range(self.convs + 1)]

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, dense(x, self.layers, self.memory), alpha=RESIDUAL_SCALE)


class RRDB(nn.Module):
    """Residual-in-residual dense block of `dense_blocks` RDBs.

    Args:
        topology: ``sequential``: each RDB reads the one before it (ESRGAN). ``parallel``: all read the same input,
            so that they can run side by side, and a 1x1 convolution that starts as their mean fuses them (the
            paper's sec. 4.2).
        memory: what the backward pass finds. ``efficient``: each map of a dense block once. ``recompute``: the RRDB's
            input alone; the rest is computed again. ``naive``: each concatenation, as autograd keeps them.
        execution: how parallel RDBs run. ``in_turn``: one after another. ``threads``: side by side on the CPU's cores,
            forward and backward. ``grouped``: as one RDB of grouped convolutions.
            Which is fastest where: experiments/threads. Results are the same but for rounding. Where a graph is
            captured (torch.compile, export), RDBs run in turn.

    Shapes: (B, G0, h, w) -> (B, G0, h, w).
    """

    def __init__(
        self,
        features: int,
        growth: int,
        convs: int,
        dense_blocks: int = 3,
        topology: Topology = "sequential",
        memory: Memory = "efficient",
        execution: Execution | None = None,
    ) -> None:
        super().__init__()
        if topology not in ("sequential", "parallel"):
            raise ValueError(f"topology is 'sequential' or 'parallel', not {topology!r}")
        if memory not in MEMORIES:
            raise ValueError(f"memory is one of {', '.join(MEMORIES)}, not {memory!r}")
        if execution is None:  # the fastest on two cores, see experiments/threads
            execution = "grouped" if topology == "parallel" and memory != "naive" else "in_turn"
        if execution not in EXECUTIONS:
            raise ValueError(f"execution is one of {', '.join(EXECUTIONS)}, not {execution!r}")
        if execution != "in_turn" and (topology != "parallel" or memory == "naive"):
            raise ValueError(f"execution={execution} needs topology=parallel, and memory=efficient or recompute")
        self.topology = topology
        self.dense_blocks = dense_blocks
        self.memory: Memory = memory
        self.execution: Execution = execution
        for i in range(dense_blocks):
            setattr(self, f"rdb{i + 1}", ResidualDenseBlock(features, growth, convs, memory))
        if topology == "parallel":
            self.fuse = nn.Conv2d(dense_blocks * features, features, kernel_size=1, bias=False)
            with torch.no_grad():
                mean = torch.eye(features).repeat(1, dense_blocks) / dense_blocks
                self.fuse.weight.copy_(mean[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        out = checkpointed(self._inner, x) if self.memory == "recompute" else self._inner(x)
        return torch.add(x, out, alpha=RESIDUAL_SCALE)

    def _inner(self, x: Tensor) -> Tensor:
        blocks = [getattr(self, f"rdb{i + 1}") for i in range(self.dense_blocks)]
        if self.topology == "parallel":
            return self.fuse(torch.cat(self._parallel_outputs(x, blocks), dim=1))
        out = x
        for block in blocks:
            out = block(out)
        return out

    def _parallel_outputs(self, x: Tensor, blocks: list[ResidualDenseBlock]) -> list[Tensor]:
        if self.execution == "in_turn" or is_capturing_graph():
            return [block(x) for block in blocks]
        branches = [block.layers for block in blocks]
        if self.execution == "grouped":
            residuals = dense_grouped(x, branches)
        else:
            residuals = dense_branches(x, branches, runner(self.execution, x.device))
        return [torch.add(x, residual, alpha=RESIDUAL_SCALE) for residual in residuals]


def upsampler(
    in_channels: int, out_channels: int, factor: int, inplace: bool = False, upsampling: Upsampling = "pixel_shuffle"
) -> nn.Sequential:
    """(B, C_in, h, w) -> (B, C_out, f h, f w), by a convolution and a leaky ReLU.

    ``pixel_shuffle``: sub-pixel convolution (Shi et al. 2016). It starts as convolution and nearest upsampling (ICNR,
    Aitken et al. 2017), so no checkerboard is there to unlearn. ``nearest``: nearest upsampling and convolution (Odena
    et al. 2016), as many operations, on larger maps; neighbours share their weights throughout.
    """
    if upsampling == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=factor), conv3(in_channels, out_channels), leaky_relu(inplace))
    conv = conv3(in_channels, out_channels * factor**2)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(factor), leaky_relu(inplace))
