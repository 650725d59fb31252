"""How far a face can be reduced without losing detail: large photographs are often soft."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facehall.imaging import resize_bicubic

MAX_LOSS = 1.5 / 255
"""Root mean square of the detail that a reduction may lose, beside noise."""
_MAD_TO_SIGMA = 1.4826


def harmless_reduction(crop: Tensor, factors: Sequence[int]) -> int:
    """Return the largest factor by which a crop (3, n, n) in [0, 1] can be reduced and enlarged without losing detail.

    What a reduction loses is compared with what white noise would lose, whose standard deviation is estimated from the
    median of the finest diagonal differences (Donoho & Johnstone 1994).

    Args:
        crop: the face; only the middle half is measured.
        factors: candidates above 1.

    Returns:
        One of `factors`, or 1.
    """
    side = crop.shape[-1]
    luma = crop.mean(dim=0)
    noise = _noise(luma[side // 4 : -(side // 4), side // 4 : -(side // 4)])
    for factor in sorted(factors, reverse=True):
        small = max(1, round(side / factor))
        if small < 8:
            continue
        lost = luma - resize_bicubic(resize_bicubic(luma, (small, small)), (side, side))
        middle = lost[side // 4 : -(side // 4), side // 4 : -(side // 4)]
        detail = float(middle.square().mean()) - noise**2 * (1 - 1 / factor**2)
        if detail <= MAX_LOSS**2:
            return factor
    return 1


def _noise(luma: Tensor) -> float:
    """Return the standard deviation of white noise in an image (h, w)."""
    h, w = (side // 2 * 2 for side in luma.shape)
    if min(h, w) < 2:
        return 0.0
    a, b, c, d = (luma[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1))
    return _MAD_TO_SIGMA * float(torch.median((a - b - c + d).abs())) / 2
