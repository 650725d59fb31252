"""The eight symmetries of the square (the dihedral group D4), numbered 0 to 7."""

from __future__ import annotations

from typing import Literal

import numpy as np

COUNT = 8
MIRROR = 4
"""The symmetry that swaps left and right."""

Symmetry = bool | Literal["mirror"]
"""Augmentation: True, all eight symmetries; ``mirror``, left and right swapped or not; False, none."""


def draw_symmetry(rng: np.random.Generator, symmetry: Symmetry) -> int:
    """Draw the symmetry of a training sample uniformly; without augmentation nothing is drawn."""
    if symmetry == "mirror":
        return MIRROR * int(rng.integers(2))
    return int(rng.integers(COUNT)) if symmetry else 0


def check_symmetry(symmetry: object) -> None:
    """Raise a ValueError unless `symmetry` is True, False or ``mirror``."""
    if symmetry not in (True, False, "mirror"):
        raise ValueError(f"symmetry must be true, mirror or false, not {symmetry!r}")


def is_mirror(which: int) -> bool:
    """Return whether the symmetry includes a mirror; the others are rotations."""
    return which >= 4


def transform(image: np.ndarray, which: int) -> np.ndarray:
    """Apply a symmetry to an image.

    Args:
        image: (h, w, ...).
        which: 0 to 7: `which` % 4 quarter turns counter-clockwise, after a horizontal flip if `which` >= 4.

    Returns:
        a view, (h, w, ...) or (w, h, ...).
    """
    if is_mirror(which):
        image = image[:, ::-1]
    return np.rot90(image, which % 4)


def transform_points(points: np.ndarray, size: tuple[int, int], which: int) -> np.ndarray:
    """Transform point coordinates as `transform` does the image.

    Args:
        points: (N, 2), x and y in pixels; the centre of the top left pixel is (0, 0).
        size: (height, width) of the original image.
        which: as in `transform`.
    """
    height, width = size
    x, y = points[:, 0], points[:, 1]
    if is_mirror(which):
        x = width - 1 - x
    for _ in range(which % 4):
        x, y = y, width - 1 - x
        height, width = width, height
    return np.stack([x, y], axis=1)
