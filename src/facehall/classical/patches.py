"""Patches and features shared by ANR, A+ and RFL (Zeyde et al. 2010; Timofte et al. 2013, 2014; Schulter et al. 2015).

All of these methods enlarge luma by bicubic and regress what is missing, patch by patch. A patch is a window of 3x3 LR
pixels, 3s x 3s pixels of the enlarged image; windows start at every LR pixel but those of the border, and the
predictions of overlapping windows are averaged. The feature of a window is a projection of the first and second
differences inside it. Differences and projection are linear, so that the features of an image are one convolution of
the enlarged image with kernels of 5s x 5s pixels and stride s.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from facehall.imaging import upscale_bicubic

WINDOW = 3
"""Side of a patch in LR pixels."""
REACH = 5
"""Side in LR pixels of the region that a feature depends on: the window and one pixel around it."""
FILTERS = 4


def target_size(scale: int) -> int:
    """Return the number of pixels of a patch."""
    return (WINDOW * scale) ** 2


def difference_filters(scale: int) -> Tensor:
    """Return the horizontal and vertical first and second differences over s pixels: (4, 1, 2 s + 1, 2 s + 1) float64.

    They are correlated with the image, as by `torch.nn.functional.conv2d`. For an odd s the first difference is not
    centred: it takes pixels (s + 1) / 2 after and (s - 1) / 2 before, like `conv2(..., 'same')` in the authors' code.
    """
    after = (scale + 1) // 2
    first, second = (torch.zeros(2 * scale + 1, 2 * scale + 1, dtype=torch.float64) for _ in range(2))
    first[scale, scale + after] = 1
    first[scale, after] = -1
    second[scale, 0] = second[scale, -1] = 0.5
    second[scale, scale] = -1
    return torch.stack((first, first.T, second, second.T))[:, None]


def projection_kernels(basis: Tensor, scale: int) -> Tensor:
    """Return the kernels that compute differences and their projection at once: (d, 1, 5 s, 5 s).

    Args:
        basis: (4, 3 s, 3 s, d), the projection of the four difference images of a window.
        scale: s.
    """
    filters = difference_filters(scale).to(basis)
    return F.conv_transpose2d(basis.permute(3, 0, 1, 2), filters)


def windows(image: Tensor, scale: int, step: int = 1) -> Tensor:
    """Return the patches of an image (C, H, W) as rows (N, C 9 s^2), at every `step`-th LR pixel within the border."""
    inner = image[:, scale:-scale, scale:-scale]
    return F.unfold(inner[None], WINDOW * scale, stride=step * scale)[0].T


def difference_windows(enlarged: Tensor, scale: int, step: int = 1) -> Tensor:
    """Return the differences in the windows of an enlarged image (H, W) as rows (N, 4 x 9 s^2)."""
    differences = F.conv2d(enlarged[None, None], difference_filters(scale).to(enlarged))
    return F.unfold(differences, WINDOW * scale, stride=step * scale)[0].T


def window_features(enlarged: Tensor, kernels: Tensor, step: int = 1) -> Tensor:
    """Return the features of the windows of an enlarged image (H, W) as rows (N, d), in the order of `windows`."""
    scale = kernels.shape[-1] // REACH
    return F.conv2d(enlarged[None, None], kernels, stride=step * scale)[0].flatten(1).T


def upscale_patchwise(lr: Tensor, kernels: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """Upscale luma: bicubic plus the averaged predictions for all windows.

    The outermost LR pixel, which no window covers, stays bicubic, and so does an image too small for one window.

    Args:
        lr: (B, 1, h, w).
        kernels: see `projection_kernels`.
        predict: features (N, d) -> missing details of the patches (N, 9 s^2).

    Returns:
        (B, 1, s h, s w), not clamped.
    """
    scale = kernels.shape[-1] // REACH
    enlarged = upscale_bicubic(lr, scale)
    batch, _, height, width = lr.shape
    if min(height, width) < REACH:
        return enlarged
    features = F.conv2d(enlarged, kernels, stride=scale)
    rows = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    patches = predict(rows).reshape(batch, -1, target_size(scale)).transpose(1, 2)
    size = ((height - 2) * scale, (width - 2) * scale)
    details = F.fold(patches, size, WINDOW * scale, stride=scale)
    down, across = (_coverage(side - 2, scale).to(details) for side in (height, width))
    return enlarged + F.pad(details / (down[:, None] * across), [scale] * 4)


def _coverage(length: int, scale: int) -> Tensor:
    """Return how many windows along one axis cover each pixel of `length` LR pixels."""
    place = torch.arange(length)
    windows = torch.minimum(torch.minimum(place + 1, length - place), torch.tensor(min(WINDOW, length - WINDOW + 1)))
    return windows.repeat_interleave(scale)


def apply_grouped(features: Tensor, choice: Tensor, matrices: Tensor) -> Tensor:
    """Multiply each feature by the matrix chosen for it, one matrix product per matrix in use.

    Args:
        features: (N, d).
        choice: (N,), the index of the matrix.
        matrices: (K, p, d), converted to the features' dtype when they are used.

    Returns:
        (N, p).
    """
    order = choice.argsort()
    used, counts = choice[order].unique_consecutive(return_counts=True)
    groups = features[order].split(counts.tolist())
    found = features.new_empty(len(features), matrices.shape[1])
    products = [group @ matrices[k].T.to(group) for k, group in zip(used.tolist(), groups, strict=True)]
    if products:
        found[order] = torch.cat(products)
    return found
