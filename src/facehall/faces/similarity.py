"""Similarity transforms (rotation, uniform scale, shift) between sets of points, and antialiased warps by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_OVERSAMPLING = 16
"""Samples per output pixel and axis; reductions beyond this alias."""


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """Return the least-squares similarity that maps points to points.

    In the complex plane a similarity is w = a z + b, whose least squares have a closed form; reflections are excluded.

    Args:
        source: (..., N, 2), x and y.
        target: (..., N, 2) or (N, 2).

    Returns:
        (..., 2, 3) matrices M with target ~ M [x, y, 1]. Not finite where all source points coincide.
    """
    source_mean, target_mean = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    z, w = source - source_mean, target - target_mean
    norm = z.square().sum((-2, -1))
    real = (z * w).sum((-2, -1)) / norm
    imaginary = (z[..., 0] * w[..., 1] - z[..., 1] * w[..., 0]).sum(-1) / norm
    linear = torch.stack((torch.stack((real, -imaginary), -1), torch.stack((imaginary, real), -1)), -2)
    shift = target_mean.expand_as(source_mean) - source_mean @ linear.mT
    return torch.cat((linear, shift.mT), -1)


def invert(matrices: Tensor) -> Tensor:
    """Invert affine matrices: (..., 2, 3) -> (..., 2, 3)."""
    linear = torch.linalg.inv(matrices[..., :2])
    return torch.cat((linear, -linear @ matrices[..., 2:]), -1)


def transform(matrices: Tensor, points: Tensor) -> Tensor:
    """Map points by affine matrices: (..., 2, 3), (..., N, 2) -> (..., N, 2)."""
    return points @ matrices[..., :2].mT + matrices[..., 2:].mT


def sampling_grid(backward: Tensor, shape: Sequence[int], size: int, samples: int = 1) -> Tensor:
    """Return where output pixels lie in images, as `grid_sample` (align_corners=False) takes it.

    Args:
        backward: (B, 2, 3) from output to image pixels.
        shape: height and width of the images.
        size: side of the output in pixels.
        samples: per output pixel and axis.

    Returns:
        (B, size samples, size samples, 2), x and y; the images span [-1, 1].
    """
    at = (torch.arange(size * samples, device=backward.device, dtype=torch.float32) + 0.5) / samples - 0.5
    places = transform(backward, torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).view(1, -1, 2))
    height, width = shape
    places = (2 * places + 1) / places.new_tensor([width, height]) - 1
    return places.view(len(backward), size * samples, size * samples, 2)


def warp(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Cut a square out of each image: output pixel q shows the image at M^-1 q.

    Differentiable with respect to the images. Reductions are antialiased: the output is sampled several times per
    pixel and axis, bilinearly, and averaged. Beyond its edge an image is continued by its border pixels.

    Args:
        images: (B, C, H, W).
        matrices: (B, 2, 3) from image to output pixels; the centre of the top-left pixel is (0, 0) in both.
        size: side of the output in pixels.

    Returns:
        (B, C, size, size).
    """
    backward = invert(matrices.to(images.device, torch.float32))
    step = float(torch.linalg.det(backward[:, :, :2]).abs().sqrt().max()) if len(backward) else 1.0
    samples = min(max(1, math.ceil(step - 0.01)), MAX_OVERSAMPLING) if math.isfinite(step) else 1
    places = sampling_grid(backward, images.shape[-2:], size, samples)
    found = F.grid_sample(images.float(), places, mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(found, samples) if samples > 1 else found
