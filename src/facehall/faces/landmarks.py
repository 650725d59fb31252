"""Dense landmarks of faces of few pixels: the 468 points of the face mesh, from 16 pixels on. Our own network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.faces.bundled import load_weights
from facehall.faces.inputs import as_input
from facehall.faces.mesh_points import COUNT

INPUT = 64
"""Side to which pictures are resampled first."""
WEIGHTS = Path(__file__).with_name("landmarks.safetensors")
"""The bundled file; `networks.md` next to it is its model card."""


class LandmarkNetwork(nn.Module):
    """A small residual network that predicts coefficients of shapes, and a linear basis of shapes (a PCA at the start).

    The basis keeps a face a face where the picture says little. Pictures are expected as FFHQ frames faces, give or
    take a quarter of the size.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the input.
        shapes: length of the basis.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (24, 32, 64, 96), shapes: int = 64) -> None:
        super().__init__()
        steps = []
        before = 3
        for width in widths:
            steps += [_convolution(before, width, 2), *([_Residual(width)] if before > 3 else [])]
            before = width
        self.trunk = nn.Sequential(*steps)
        self.coefficients = nn.Linear(before * (INPUT // 2 ** len(widths)) ** 2, shapes)
        self.basis = nn.Linear(shapes, 2 * COUNT)

    @classmethod
    def pretrained(cls, weights: str | Path | None = None) -> LandmarkNetwork:
        """Return the network with its bundled weights, or those of a file; frozen.

        Raises:
            FacehallError: the file is missing or of another network.
        """
        return load_weights(cls(), Path(weights or WEIGHTS), "landmark network")

    def forward(self, images: Tensor) -> Tensor:
        """Return the points relative to width and height: (B, 3, h, w) in [0, 1] -> (B, 468, 2). Differentiable.

        The top left corner of the picture is (0, 0), the bottom right one (1, 1).
        """
        x = self.trunk(as_input(images, INPUT)).flatten(1)
        return self.basis(self.coefficients(x)).view(-1, COUNT, 2)

    @torch.no_grad()
    def start_from(self, shapes: Tensor) -> None:
        """Set the basis to the mean and the principal components of shapes (N, 468, 2), scaled to unit variance."""
        flat = shapes.flatten(1)
        mean = flat.mean(0)
        _, deviations, components = torch.linalg.svd(flat - mean, full_matrices=False)
        count = self.basis.in_features
        scale = deviations[:count, None] / len(flat) ** 0.5
        self.basis.weight.copy_((scale * components[:count]).T)
        self.basis.bias.copy_(mean)


def _convolution(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.conv(self.first(x))))
