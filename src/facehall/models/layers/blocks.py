"""The residual-in-residual dense block of ESRGAN and its parallel variant."""

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
    """Apply He initialisation scaled by `factor`: deep residual stacks start near identity (ESRGAN, sec. 3.1)."""
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
        growth: G, channels added by each convolution.
        convs: C, densely connected convolutions; a final one without activation maps back to G0.
        memory: what is kept for the backward pass, see `dense`.

    Shapes: (B, G0, h, w) -> (B, G0, h, w).
    """

    def __init__(self, features: int, growth: int, convs: int, memory: Memory = "efficient") -> None:
        super().__init__()
        self.convs = convs
        self.memory: Memory = memory
        for i in range(convs):  # conv1 … convC and the fusion conv(C+1), as in the public ESRGAN weights
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
        topology: ``sequential``: each RDB reads the output of the previous one (ESRGAN). ``parallel``: all read the
            same input, so that they can run in parallel, and are fused by a 1x1 convolution initialised to their mean
            (the paper's sec. 4.2).
        memory: what is kept for the backward pass. ``efficient``: each feature map of a dense block once.
            ``recompute``: only the RRDB's input; the rest is recomputed. ``naive``: each concatenation, as in autograd.
        execution: how parallel RDBs run. ``in_turn``: one after another. ``threads``: in parallel on the CPU's cores,
            forward and backward. ``grouped``: as one RDB of grouped convolutions.
            For speed see experiments/threads. Results agree up to rounding. While a graph is captured (torch.compile,
            export), RDBs run one after another.

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
            raise ValueError(f"topology must be 'sequential' or 'parallel', not {topology!r}")
        if memory not in MEMORIES:
            raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, not {memory!r}")
        if execution is None:  # the fastest on two cores, see experiments/threads
            execution = "grouped" if topology == "parallel" and memory != "naive" else "in_turn"
        if execution not in EXECUTIONS:
            raise ValueError(f"execution must be one of {', '.join(EXECUTIONS)}, not {execution!r}")
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
    """Return an upsampling layer, a convolution and a leaky ReLU: (B, C_in, h, w) -> (B, C_out, f h, f w).

    ``pixel_shuffle``: sub-pixel convolution (Shi et al. 2016), initialised as convolution and nearest upsampling (ICNR,
    Aitken et al. 2017), so that it starts without a checkerboard. ``nearest``: nearest upsampling and convolution
    (Odena et al. 2016): as many operations, on larger maps, with the weights shared by all sub-pixel positions.
    """
    if upsampling == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=factor), conv3(in_channels, out_channels), leaky_relu(inplace))
    conv = conv3(in_channels, out_channels * factor**2)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(factor), leaky_relu(inplace))


def enlargement_x4(features: int, out_channels: int) -> nn.Sequential:
    """Return two x2 nearest upsamplings and two convolutions: (B, C, h, w) -> (B, out_channels, 4h, 4w)."""
    ups = [upsampler(features, features, 2, upsampling="nearest") for _ in range(2)]
    return nn.Sequential(*ups, conv3(features, features), leaky_relu(), conv3(features, out_channels))
