"""Face parsing from pictures of few pixels: nine classes at 128 pixels, from 16 pixels on. Our own network.

The idea of parsing the LR picture itself, instead of a first enlargement, is W-Net's (arXiv 2406.00676); the labels are
those of `facehall.faces.labels`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.faces.bundled import load_weights
from facehall.faces.inputs import as_input
from facehall.faces.labels import CLASSES

SIDE = 128
"""Side of the label map in pixels."""
INPUT = 64
"""Side to which pictures are resampled first."""
WEIGHTS = Path(__file__).with_name("parser.safetensors")
"""The bundled file; `networks.md` next to it is its model card."""


class FaceParser(nn.Module):
    """Dilated residual blocks at 32 x 32, a learnt map of positions, and two steps of sub-pixel enlargement.

    The position map tells hair from a beard: where a pixel lies in an aligned crop says more than its colour. Pictures
    are expected as FFHQ frames faces, give or take a quarter of the size.

    Args:
        channels: of the residual blocks.
        dilations: one block each.
        positions: channels of the map of positions.
    """

    def __init__(self, channels: int = 40, dilations: tuple[int, ...] = (1, 2, 4, 2), positions: int = 8) -> None:
        super().__init__()
        side = INPUT // 2
        self.positions = nn.Parameter(0.1 * torch.randn(1, positions, side, side))
        self.stem = nn.Conv2d(12 + positions, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(_Block(channels, dilation) for dilation in dilations))
        self.up1 = nn.Conv2d(channels, 4 * 24, 3, padding=1)
        self.up2 = nn.Conv2d(24 + 3, 4 * 16, 3, padding=1)
        self.head = nn.Conv2d(16, len(CLASSES), 1)

    @classmethod
    def pretrained(cls, weights: str | Path | None = None) -> FaceParser:
        """Return the network with its bundled weights, or those of a file; frozen.

        Raises:
            FacehallError: the file is missing or of another network.
        """
        return load_weights(cls(), Path(weights or WEIGHTS), "face parser")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of `CLASSES`: (B, 3, h, w) in [0, 1], any size -> (B, 9, 128, 128). Differentiable."""
        fine = as_input(images, INPUT)
        positions = self.positions.expand(len(images), -1, -1, -1)
        x = self.stem(torch.cat((F.pixel_unshuffle(fine, 2), positions), 1))
        x = F.relu(self.blocks(x))
        x = F.relu(F.pixel_shuffle(self.up1(x), 2))
        x = F.relu(F.pixel_shuffle(self.up2(torch.cat((x, fine), 1)), 2))
        return self.head(x)


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
