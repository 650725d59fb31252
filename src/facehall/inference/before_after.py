"""Before/after sheets: input, bicubic and super-resolved crops side by side."""

from __future__ import annotations

import numpy as np

from facehall.imaging import Picture, comparison_sheet, eight_bits, to_levels, to_tensor, upscale_bicubic
from facehall.inference.predictor import Predictor

MAX_WHOLE_SIDE = 192
"""Longest side, in pixels, of a picture that is shown whole."""
CROP_SIDE = 96
"""Side of a crop in input pixels."""
CROP_COUNT = 3
"""Number of crops shown."""
MIN_PANEL_HEIGHT = 256
"""Minimum height of a panel in pixels."""


def compare(predictor: Predictor, picture: Picture) -> np.ndarray:
    """Draw a sheet of crops of a picture: input, bicubic, network output; (H, W, 3) uint8.

    Small pictures are shown whole; of larger ones, the crops with the largest differences between neighbouring pixels.
    Only the crops are upscaled again, with the context of tiles, so that time and memory do not depend on the picture's
    size.
    """
    scale, height, width = predictor.scale, *picture.rgb.shape[:2]
    boxes, rows = _crops(picture.rgb), []
    context = predictor.overlap if boxes != [(0, 0, height, width)] else 0  # which takes seconds to measure
    for top, left, bottom, right in boxes:
        outer_top, outer_left = max(0, top - context), max(0, left - context)
        outer = _crop(picture, outer_top, outer_left, bottom + context, right + context)
        inner = (
            slice((top - outer_top) * scale, (bottom - outer_top) * scale),
            slice((left - outer_left) * scale, (right - outer_left) * scale),
        )
        bicubic = to_levels(upscale_bicubic(to_tensor(outer.rgb), scale), outer.rgb.dtype)[inner]
        sr = predictor.upscale(outer).rgb[inner]
        rows.append([eight_bits(panel) for panel in (picture.rgb[top:bottom, left:right], bicubic, sr)])
    titles = [f"input {width}×{height}", "bicubic", f"facehall ×{scale}, {width * scale}×{height * scale}"]
    return comparison_sheet(rows, titles, cell=max(MIN_PANEL_HEIGHT, max(len(row[-1]) for row in rows)))


def _crop(picture: Picture, top: int, left: int, bottom: int, right: int) -> Picture:
    return Picture(picture.rgb[top:bottom, left:right], None, picture.grey)


def _crops(rgb: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return (top, left, bottom, right) of the crops, the most detailed first; crops do not overlap."""
    height, width = rgb.shape[:2]
    if max(height, width) <= MAX_WHOLE_SIDE:
        return [(0, 0, height, width)]
    boxes = [
        (top, left, min(height, top + CROP_SIDE), min(width, left + CROP_SIDE))
        for top in range(0, max(1, height - CROP_SIDE + 1), CROP_SIDE)
        for left in range(0, max(1, width - CROP_SIDE + 1), CROP_SIDE)
    ]
    return sorted(boxes, key=lambda box: -_detail_level(rgb, *box))[:CROP_COUNT]


def _detail_level(rgb: np.ndarray, top: int, left: int, bottom: int, right: int) -> float:
    """Return the mean absolute difference of neighbouring pixels."""
    green = rgb[top:bottom, left:right, 1].astype(np.int32)
    return sum(float(np.abs(np.diff(green, axis=axis)).mean()) for axis in (0, 1) if green.shape[axis] > 1)
