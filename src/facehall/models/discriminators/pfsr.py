"""PFSR's discriminator."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.layers.blocks import leaky_relu
from facehall.models.layers.equalized import EqualizedConv3

END = 2
"""Side of the pooled features that enter the dense layer."""


class Block(nn.Sequential):
    """Two 3x3 convolutions with leaky ReLU, and average pooling: (B, C_in, h, w) -> (B, C_out, h / 2, w / 2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            EqualizedConv3(in_channels, out_channels),
            leaky_relu(),
            EqualizedConv3(out_channels, out_channels),
            leaky_relu(),
            nn.AvgPool2d(2),
        )


def append_deviation(x: Tensor) -> Tensor:
    """Append a channel that holds one number, the standard deviation over the batch, averaged over all features.

    It tells a generator that returns similar images from one that does not (Karras et al. 2018, sec. 3).

    Shapes: (B, C, h, w) -> (B, C + 1, h, w).
    """
    deviation = torch.sqrt(x.var(dim=0, unbiased=False) + 1e-8).mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[-2:])], dim=1)


class PFSRDiscriminator(nn.Module):
    """PFSR's discriminator (Kim et al., BMVC 2019), a critic for Wasserstein losses without batch norm.

    Each image side has its entrance, a 1x1 convolution; blocks then halve the side down to the LR image's, where the
    deviation over the batch is appended, and a convolution and a dense layer on 2x2 averages follow.

    Args:
        size: side of the HR images of the full scale in pixels.
        levels: blocks; images of size / 2, …, size / 2^(levels - 1) enter at later blocks, in phases of coarser scales.
        channels: at the first entrance, doubled by each block; 64 in the paper.

    Shapes: (B, 3, H, H) in [0, 1] -> logits (B, 1).

    Raises:
        ValueError: a size that cannot be halved so often, or, when called, images of a side without entrance.
    """

    def __init__(self, size: int = 128, levels: int = 3, channels: int = 64) -> None:
        super().__init__()
        if levels < 1 or size % 2**levels or size < END * 2**levels:
            raise ValueError(
                f"PFSRDiscriminator: size must be a multiple of {2**levels}, from {END * 2**levels} up, not {size}"
            )
        widths = [channels * 2**i for i in range(levels + 1)]
        self.sides = [size // 2**i for i in range(levels)]
        self.entrances = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, width, kernel_size=1), leaky_relu()) for width in widths[:-1]
        )
        self.blocks = nn.ModuleList(Block(width, wider) for width, wider in pairwise(widths))
        self.last = nn.Sequential(EqualizedConv3(widths[-1] + 1, widths[-1]), leaky_relu())
        self.dense = nn.Linear(widths[-1] * END**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height != width or height not in self.sides:
            raise ValueError(
                f"PFSRDiscriminator was built for square images of {', '.join(map(str, self.sides))} pixels, got "
                f"{height}x{width}: set discriminator.size to patches.patch_size times scale"
            )
        start = self.sides.index(height)
        x = self.entrances[start](2 * images - 1)
        for block in list(self.blocks)[start:]:
            x = block(x)
        x = F.adaptive_avg_pool2d(self.last(append_deviation(x)), END)
        return self.dense(x.flatten(1))
