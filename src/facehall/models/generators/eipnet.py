"""EIPNet: a face network that carries the edges of its features from scale to scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3
from facehall.models.layers.scales import pyramid_scales


def local_mean(x: Tensor, size: int) -> Tensor:
    """Average over windows of `size` pixels, only of those inside the image: (B, C, h, w) -> the same.

    An even window reaches one pixel farther to the right and down than to the left and up.
    """
    skip = 1 - size % 2
    mean = F.avg_pool2d(x, size, stride=1, padding=size // 2, count_include_pad=False)
    return mean[..., skip:, skip:]


class EdgeBlock(nn.Module):
    """relu(x - local mean), and its 1x1 projection with ReLU, a one-channel edge map.

    Args:
        channels: of the features.
        size: side of the window in pixels.

    Shapes: (B, C, h, w) -> edge features (B, C, h, w) and an edge map (B, 1, h, w).
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.project = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        edges = F.relu(x - local_mean(x, self.size))
        return edges, F.relu(self.project(edges))


class Stage(nn.Module):
    """One x2 stage: two convolutions with a skip, a transposed 4x4 convolution that halves the channels, an edge block.

    After the first stage, the convolutions read the features and their edges, and reduce them to the features' number.

    Args:
        channels: C, of the features.
        first: whether there are no edge features yet.
        window: of the edge block, in pixels of the output.

    Shapes: features (B, C, h, w) and their edges, the same or None -> features and edges (B, C / 2, 2h, 2w), and an
    edge map (B, 1, 2h, 2w).
    """

    def __init__(self, channels: int, first: bool, window: int) -> None:
        super().__init__()
        inner = channels if first else 2 * channels
        self.convs = nn.Sequential(conv3(inner, inner), nn.ReLU(), conv3(inner, channels), nn.ReLU())
        self.up = nn.ConvTranspose2d(channels, channels // 2, kernel_size=4, stride=2, padding=1)
        self.edge = EdgeBlock(channels // 2, window)

    def forward(self, x: Tensor, edges: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        x = x + self.convs(x if edges is None else torch.cat([x, edges], dim=1))
        x = F.relu(self.up(x))
        return x, *self.edge(x)


class EIPNet(Generator):
    """EIPNet (Kim, Li, Yun, Jung, Kim, Edge and Identity Preserving Network for Face Super-Resolution, 2021).

    A convolution without activation, x2 stages that halve the channels, and a 1x1 convolution of the last features and
    edges to RGB; no batch norm. After each stage an edge block takes what exceeds the local mean; those edge features
    enter the next stage, and a projection of them is trained to be an edge image at that scale.

    The authors compute with values in [0, 255]; here they are in [0, 1], which is the same function at the start, when
    biases are 0.

    Args:
        scale: 2, 4 or 8, the paper's.
        channels: at LR size; 512 in the paper.
        windows: side of the edge blocks' windows at each scale, coarsest first; the paper's by default.

    Raises:
        ValueError: another scale, fewer windows than stages, or channels that cannot be halved in each stage.
    """

    provides = ("pyramid", "edges")

    @records_arguments
    def __init__(self, scale: int = 8, channels: int = 512, windows: Sequence[int] = (5, 7, 10)) -> None:
        super().__init__()
        self.scale = scale
        count = len(pyramid_scales(scale))
        if len(windows) < count or min(windows) < 2:
            raise ValueError(f"windows must list {count} sides of at least 2 pixels for x{scale}, not {windows}")
        if channels < 1 or channels % 2**count:
            raise ValueError(f"channels must be a multiple of {2**count} for x{scale}, not {channels}")
        self.first = conv3(3, channels)
        self.stages = nn.ModuleList(Stage(channels // 2**i, i == 0, windows[i]) for i in range(count))
        self.head = nn.Conv2d(2 * channels // 2**count, 3, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """Return {scale: (B, 3, scale h, scale w)}, the only scale with an image."""
        pyramid: dict[int, Tensor] = self.outputs(lr)["pyramid"]
        return pyramid

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        """Return the pyramid, and ``edges``: {scale of the stage: edge map (B, 1, scale h, scale w), from 0 up}."""
        x = self.first(lr)
        edges: Tensor | None = None
        maps: dict[int, Tensor] = {}
        for scale, stage in zip(pyramid_scales(self.scale), self.stages, strict=True):
            x, edges, maps[scale] = stage(x, edges)
        assert edges is not None
        return {"pyramid": {self.scale: self.head(torch.cat([x, edges], dim=1))}, "edges": maps}
