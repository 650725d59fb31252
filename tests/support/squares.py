"""A stand-in for the face detector: white squares are faces."""

from __future__ import annotations

import cv2
import numpy as np

from facehall.faces.alignment import FFHQ_POINTS
from facehall.faces.centerface import Candidates

SMALLEST, LARGEST = 16, 400
"""Sides that it finds, in the pixels that it sees, as CenterFace does."""
CROP_PER_BOX = 2.0
"""Side of the aligned crop relative to that of the square."""


def find_squares(rgb: np.ndarray, threshold: float) -> Candidates:
    """Find squares of white pixels; their points are those of an upright face in the middle of the aligned crop."""
    white = (rgb.min(axis=2) > 200).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(white, connectivity=4)
    boxes, points = [], []
    for left, top, width, height, _ in statistics[1:]:
        if min(width, height) >= SMALLEST and max(width, height) <= LARGEST:
            boxes.append((left, top, left + width, top + height))
            crop = CROP_PER_BOX * width
            points.append((FFHQ_POINTS - 0.5) * crop + (left + width / 2, top + height / 2))
    count = len(boxes)
    return Candidates(
        np.array(boxes, float).reshape(-1, 4), np.full(count, 0.9), np.array(points, float).reshape(-1, 5, 2)
    )


def with_squares(height: int, width: int, *squares: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Return (H, W, 3) uint8: dark noise with white squares (left, top, side)."""
    rgb = np.random.default_rng(seed).integers(0, 120, (height, width, 3), dtype=np.uint8)
    for left, top, side in squares:
        rgb[top : top + side, left : left + side] = np.random.default_rng(seed).integers(210, 256, (side, side, 1))
    return rgb
