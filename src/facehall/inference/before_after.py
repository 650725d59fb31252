"""Before and after: what a picture gained, on one sheet."""

from __future__ import annotations

import numpy as np

from facehall.imaging import Picture, comparison_sheet, eight_bits, to_levels, to_tensor, upscale_bicubic
from facehall.inference.predictor import Predictor

WHOLE = 192
"""A picture whose sides are no longer, in pixels, is shown whole."""
DETAIL = 96
"""Side of a detail, in pixels of the input."""
DETAILS = 3
"""How many details are shown."""
CELL = 256
"""Pixels that a panel is high at least."""


def compare(predictor: Predictor, picture: Picture) -> np.ndarray:
    """A sheet of details of a picture: as it is, enlarged by bicubic, and by the network; (H, W, 3) uint8.

    Of a larger picture those places are shown where neighbouring pixels differ most; a small one is shown whole.
    They are computed anew with the context that tiles have, so that the sheet of a picture of any size takes no more
    time and memory than a few tiles.
    """
    scale, height, width = predictor.scale, *picture.rgb.shape[:2]
    rows = []
    for top, left, bottom, right in _places(picture.rgb):
        outer_top, outer_left = max(0, top - predictor.overlap), max(0, left - predictor.overlap)
        outer = _part(picture, outer_top, outer_left, bottom + predictor.overlap, right + predictor.overlap)
        inner = (
            slice((top - outer_top) * scale, (bottom - outer_top) * scale),
            slice((left - outer_left) * scale, (right - outer_left) * scale),
        )
        bicubic = to_levels(upscale_bicubic(to_tensor(outer.rgb), scale), outer.rgb.dtype)[inner]
        sr = predictor.upscale(outer).rgb[inner]
        rows.append([eight_bits(panel) for panel in (picture.rgb[top:bottom, left:right], bicubic, sr)])
    titles = [f"input {width}×{height}", "bicubic", f"facehall ×{scale}, {width * scale}×{height * scale}"]
    return comparison_sheet(rows, titles, cell=max(CELL, max(len(row[-1]) for row in rows)))


def _part(picture: Picture, top: int, left: int, bottom: int, right: int) -> Picture:
    return Picture(picture.rgb[top:bottom, left:right], None, picture.grey)


def _places(rgb: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Top, left, bottom, right of what is shown, from the richest on; details do not overlap."""
    height, width = rgb.shape[:2]
    if max(height, width) <= WHOLE:
        return [(0, 0, height, width)]
    boxes = [
        (top, left, min(height, top + DETAIL), min(width, left + DETAIL))
        for top in range(0, max(1, height - DETAIL + 1), DETAIL)
        for left in range(0, max(1, width - DETAIL + 1), DETAIL)
    ]
    return sorted(boxes, key=lambda box: -_detail(rgb, *box))[:DETAILS]


def _detail(rgb: np.ndarray, top: int, left: int, bottom: int, right: int) -> float:
    """The mean difference of neighbouring pixels."""
    green = rgb[top:bottom, left:right, 1].astype(np.int32)
    return sum(float(np.abs(np.diff(green, axis=axis)).mean()) for axis in (0, 1) if green.shape[axis] > 1)
