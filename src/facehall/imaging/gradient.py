"""Gradient magnitude of images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-6


def gradient_map(images: Tensor) -> Tensor:
    """Return sqrt(dx^2 + dy^2 + 1e-6) of each channel: (B, C, H, W) -> (B, C, H, W), with finite gradients everywhere.

    dx and dy are differences of the two neighbours of a pixel; beyond the border are zeros, as in SPSR's code (Ma et
    al., CVPR 2020), whose convention this is.
    """
    height, width = images.shape[-2:]  # slices from the end would add guards that torch.export refuses
    padded = F.pad(images, (1, 1, 1, 1))
    dx = padded[..., 1 : height + 1, 2:] - padded[..., 1 : height + 1, :width]
    dy = padded[..., 2:, 1 : width + 1] - padded[..., :height, 1 : width + 1]
    return torch.sqrt(dx.square() + dy.square() + EPSILON)
