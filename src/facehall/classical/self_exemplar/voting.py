"""From a field to an image: overlapping patches are averaged, and the result is made consistent with the input."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.classical.self_exemplar.field import CHUNK, Field, offsets
from facehall.classical.self_exemplar.pyramid import MIN_SIDE, Atlas
from facehall.imaging import resize_bicubic

BACK_PROJECTIONS = 20


def vote(field: Field, bias: Tensor, sources: Atlas, weight: Tensor) -> Tensor:
    """Average the overlapping source patches.

    Args:
        field: the source of each patch.
        bias: (N, 3), added to its channels.
        sources: sharp coarser levels.
        weight: (25,), weights of a patch's pixels.

    Returns:
        the image, (3, H, W).
    """
    taps = offsets(field.position)
    votes = weight.new_empty(3, len(weight), len(field.position))
    for start in range(0, len(field.position), CHUNK):
        part = slice(start, start + CHUNK)
        found = sources.patches(field.position[part], field.affine[part], taps)
        votes[:, :, part] = ((found + bias[part].T[:, :, None]) * weight).transpose(1, 2)
    total = F.fold(votes, field.size, MIN_SIDE)[:, 0]
    weights = F.fold(weight[:, None].expand(-1, len(field.position))[None], field.size, MIN_SIDE)[0, 0]
    return total / weights


def back_project(image: Tensor, given: Tensor, steps: int = BACK_PROJECTIONS) -> Tensor:
    """Bring an image closer to those that bicubic reduces to the input (Irani and Peleg 1991).

    Args:
        image: (3, H, W).
        given: the input, (3, h, w).
        steps: times that the enlarged and smoothed difference is added.

    Returns:
        (3, H, W), clamped to [0, 1].
    """
    large = (image.shape[-2], image.shape[-1])
    small = (given.shape[-2], given.shape[-1])
    kernel = gaussian(1.0, image).square()
    kernel = (kernel / kernel.sum()).view(1, 1, MIN_SIDE, MIN_SIDE)
    margin = MIN_SIDE // 2
    for _ in range(steps):
        difference = resize_bicubic(given - resize_bicubic(image, small), large)
        padded = F.pad(difference[:, None], (margin,) * 4, mode="replicate")
        image = (image + F.conv2d(padded, kernel)[:, 0]).clamp_(0, 1)
    return image


def gaussian(sigma: float, like: Tensor) -> Tensor:
    """Return the weights of a patch's pixels, row by row, which sum to 1: (25,)."""
    weight = torch.exp(-offsets(like).square().sum(dim=1) / (2 * sigma**2))
    return weight / weight.sum()
