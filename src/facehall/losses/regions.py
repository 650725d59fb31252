"""Regions of a picture (boundary, background, and object for the rest), from its labels or from the picture itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def regions_of_labels(labels: Tensor, background: Sequence[int], radius: int) -> tuple[Tensor, Tensor]:
    """Return masks of SROBB's boundary and background from class labels (Rad et al., ICCV 2019, sec. 3.1).

    Boundary is what lies within `radius` of an edge between classes; background, the background classes elsewhere.

    Args:
        labels: (B, H, W) integers.
        background: classes of background; in the paper sky, plants, ground and water.
        radius: in pixels; 0 keeps the two pixels on either side of an edge.

    Returns:
        boundary and background, each (B, 1, H, W) bool.
    """
    edges = torch.zeros_like(labels, dtype=torch.bool)
    for dim in (-2, -1):
        size = labels.shape[dim] - 1
        differ = labels.narrow(dim, 0, size) != labels.narrow(dim, 1, size)
        for start in (0, 1):
            edges.narrow(dim, start, size).logical_or_(differ)
    boundary = dilate(edges[:, None], radius)
    classes = torch.as_tensor(list(background), dtype=labels.dtype, device=labels.device)
    return boundary, torch.isin(labels, classes)[:, None] & ~boundary


def regions_of_picture(hr: Tensor, sigma: float, contrast: tuple[float, float], radius: int) -> tuple[Tensor, Tensor]:
    """Return masks of boundary and background from the picture alone: strong edges, and areas without any.

    Args:
        hr: (B, 3, H, W) in [0, 1].
        sigma: of the Gaussian whose derivative finds edges, in pixels; finer texture does not count.
        contrast: heights, in [0, 1], of the straight steps that are the strongest in a background and the weakest at a
            boundary.
        radius: of the boundary's dilation, in pixels.

    Returns:
        boundary and background, each (B, 1, H, W) bool.
    """
    strength = edge_contrast(hr, sigma)
    boundary = dilate(strength >= contrast[1], radius)
    return boundary, (strength <= contrast[0]) & ~boundary


def edge_contrast(images: Tensor, sigma: float) -> Tensor:
    """Return the height of the step that would have as strong a gradient after Gaussian smoothing.

    The gradient is the root mean square of the channels'. Shapes: (B, C, H, W) -> (B, 1, H, W), float32.
    """
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images.device)
    smooth = torch.exp(-offsets.square() / (2 * sigma**2))
    smooth = smooth / smooth.sum()
    slope = offsets * smooth / sigma**2  # minus the Gaussian's derivative, as conv2d correlates
    planes = images.float().flatten(0, 1)[:, None]
    planes = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    with torch.autocast(images.device.type, enabled=False):
        dx = F.conv2d(F.conv2d(planes, slope.view(1, 1, 1, -1)), smooth.view(1, 1, -1, 1))
        dy = F.conv2d(F.conv2d(planes, smooth.view(1, 1, 1, -1)), slope.view(1, 1, -1, 1))
    energy = (dx.square() + dy.square()).unflatten(0, images.shape[:2]).mean(dim=1)
    return energy.sqrt() * (sigma * math.sqrt(2 * math.pi))  # a step of height 1 peaks at 1 / (sigma sqrt(2 pi))


def dilate(mask: Tensor, radius: int) -> Tensor:
    """Dilate by a disk: (B, 1, H, W) bool -> the same."""
    if not radius:
        return mask
    offsets = torch.arange(-radius, radius + 1, device=mask.device)
    disk = (offsets[:, None].square() + offsets.square() <= radius**2).float()
    with torch.autocast(mask.device.type, enabled=False):
        return F.conv2d(mask.float(), disk[None, None], padding=radius) > 0.5
