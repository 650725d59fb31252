"""The residual-in-residual dense block of ESRGAN and its parallel sibling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Topology = Literal["sequential", "parallel"]

RESIDUAL_SCALE = 0.2


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2)


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


@torch.no_grad()
def shrink_(module: nn.Module, factor: float = 0.1) -> None:
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

    Shapes: (B, G0, h, w) -> (B, G0, h, w).
    """

    def __init__(self, features: int, growth: int, convs: int) -> None:
        super().__init__()
        self.convs = convs
        for i in range(convs):  # conv1 … convC and the fusion conv(C+1): the names of the public ESRGAN weights
            setattr(self, f"conv{i + 1}", conv3(features + i * growth, growth))
        setattr(self, f"conv{convs + 1}", conv3(features + convs * growth, features))
        self.activation = leaky_relu()
        shrink_(self)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for i in range(self.convs):
            maps.append(self.activation(getattr(self, f"conv{i + 1}")(torch.cat(maps, dim=1))))
        return x + RESIDUAL_SCALE * getattr(self, f"conv{self.convs + 1}")(torch.cat(maps, dim=1))


class RRDB(nn.Module):
    """Residual-in-residual dense block of `dense_blocks` RDBs.

    Args:
        topology: ``sequential``: each RDB reads the one before it (ESRGAN). ``parallel``: all read the same input,
            so that they can run side by side, and a 1x1 convolution that starts as their mean fuses them (the
            paper's sec. 4.2).

    Shapes: (B, G0, h, w) -> (B, G0, h, w).
    """

    def __init__(
        self, features: int, growth: int, convs: int, dense_blocks: int = 3, topology: Topology = "sequential"
    ) -> None:
        super().__init__()
        if topology not in ("sequential", "parallel"):
            raise ValueError(f"topology is 'sequential' or 'parallel', not {topology!r}")
        self.topology = topology
        self.dense_blocks = dense_blocks
        for i in range(dense_blocks):
            setattr(self, f"rdb{i + 1}", ResidualDenseBlock(features, growth, convs))
        if topology == "parallel":
            self.fuse = nn.Conv2d(dense_blocks * features, features, kernel_size=1, bias=False)
            with torch.no_grad():
                mean = torch.eye(features).repeat(1, dense_blocks) / dense_blocks
                self.fuse.weight.copy_(mean[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        blocks = [getattr(self, f"rdb{i + 1}") for i in range(self.dense_blocks)]
        if self.topology == "parallel":
            out = self.fuse(torch.cat([block(x) for block in blocks], dim=1))
        else:
            out = x
            for block in blocks:
                out = block(out)
        return x + RESIDUAL_SCALE * out


def upsampler(in_channels: int, out_channels: int, factor: int) -> nn.Sequential:
    """Sub-pixel convolution (Shi et al. 2016): (B, C_in, h, w) -> (B, C_out, f h, f w).

    It starts as convolution and nearest upsampling (ICNR, Aitken et al. 2017), so no checkerboard is there to unlearn.
    """
    conv = conv3(in_channels, out_channels * factor**2)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(factor), leaky_relu())
