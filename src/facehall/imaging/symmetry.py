"""The eight symmetries of the square (the dihedral group D4), numbered 0 to 7."""

from __future__ import annotations

import numpy as np

COUNT = 8


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
