"""How flat every patch of a picture is, from integral images."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Measure = Literal["std", "isr"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


def flatness(patch: np.ndarray, measure: Measure) -> float:
    """How much happens in one patch, by the measure's definition: what `flatness_map` is tested against.

    ``std``: population standard deviation of all pixel intensities, the paper's words; a tint counts as texture.
    ``isr``: the larger of the mean std down the columns and the mean std along the rows, each channel for itself, as
    the library measures it that the paper paraphrases.

    Args:
        patch: (h, w, 3) uint8.

    Returns:
        0 (one colour) to 0.5, of intensities in [0, 1].
    """
    patch = patch / 255
    return float(patch.std() if measure == "std" else max(patch.std(axis=0).mean(), patch.std(axis=1).mean()))


def flatness_map(picture: np.ndarray, size: int, measure: Measure) -> np.ndarray:
    """The flatness of every patch of `size` x `size` pixels.

    Sums of integers, so exact up to the last root, whatever the picture; the cost does not depend on `size`.

    Args:
        picture: (H, W, 3) uint8 with H, W >= size.

    Returns:
        (H - size + 1, W - size + 1) float32, indexed by the patch's top-left corner.
    """
    levels = picture.astype(np.int64)
    if measure == "std":
        total = _windows(_windows(levels.sum(axis=2), size, 0), size, 1)
        squares = _windows(_windows((levels**2).sum(axis=2), size, 0), size, 1)
        return _spread(total, squares, 3 * size**2).astype(np.float32)
    down = _spread(_windows(levels, size, 0), _windows(levels**2, size, 0), size)
    along = _spread(_windows(levels, size, 1), _windows(levels**2, size, 1), size)
    means = _windows(down.mean(axis=2), size, 1) / size, _windows(along.mean(axis=2), size, 0) / size
    return np.maximum(*means).astype(np.float32)


def _windows(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Sums over every window of `size` along an axis."""
    sums = np.cumsum(values, axis=axis)
    first = np.take(sums, [size - 1], axis=axis)
    later = np.take(sums, range(size, values.shape[axis]), axis=axis)
    earlier = np.take(sums, range(values.shape[axis] - size), axis=axis)
    return np.concatenate([first, later - earlier], axis=axis)


def _spread(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    """Population standard deviation, in [0, 1] units, from integer sums of levels."""
    return np.sqrt(count * squares - total**2) / (255 * count)
