"""Flatness of every patch of a picture, computed with integral images."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Measure = Literal["std", "isr"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


def flatness(patch: np.ndarray, measure: Measure) -> float:
    """Compute the flatness measure of one patch by definition; the reference for `flatness_map` in tests.

    ``std``: population standard deviation of all pixel intensities, as the paper says; a tint counts as texture.
    ``isr``: the larger of the mean std along columns and the mean std along rows, per channel, as in the ISR library
    that the paper paraphrases.

    Args:
        patch: (h, w, 3) uint8.

    Returns:
        0 (uniform colour) to 0.5, for intensities in [0, 1].
    """
    patch = patch / 255
    return float(patch.std() if measure == "std" else max(patch.std(axis=0).mean(), patch.std(axis=1).mean()))


def flatness_map(picture: np.ndarray, size: int, measure: Measure) -> np.ndarray:
    """Compute the flatness of every patch of `size` x `size` pixels.

    Uses integer sums, which are exact until the final square root; the cost does not depend on `size`.

    Args:
        picture: (H, W, 3) uint8 with H, W >= size.

    Returns:
        (H - size + 1, W - size + 1) float32, indexed by the patch's top-left corner.
    """
    levels = picture.astype(np.int64)
    if measure == "std":
        total = _window_sums(_window_sums(levels.sum(axis=2), size, 0), size, 1)
        squares = _window_sums(_window_sums((levels**2).sum(axis=2), size, 0), size, 1)
        return _std(total, squares, 3 * size**2).astype(np.float32)
    down = _std(_window_sums(levels, size, 0), _window_sums(levels**2, size, 0), size)
    along = _std(_window_sums(levels, size, 1), _window_sums(levels**2, size, 1), size)
    means = _window_sums(down.mean(axis=2), size, 1) / size, _window_sums(along.mean(axis=2), size, 0) / size
    return np.maximum(*means).astype(np.float32)


def _window_sums(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Return the sums over every window of `size` along an axis."""
    sums = np.cumsum(values, axis=axis)
    first = np.take(sums, [size - 1], axis=axis)
    later = np.take(sums, range(size, values.shape[axis]), axis=axis)
    earlier = np.take(sums, range(values.shape[axis] - size), axis=axis)
    return np.concatenate([first, later - earlier], axis=axis)


def _std(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    """Return the population standard deviation, on a [0, 1] scale, from integer sums of 8-bit levels."""
    return np.sqrt(count * squares - total**2) / (255 * count)
