"""The eight symmetries of the square, each as likely as any other."""

from __future__ import annotations

import numpy as np

COUNT = 8


def transform(image: np.ndarray, which: int) -> np.ndarray:
    """Symmetry 0 to 7 of (h, w, ...): `which` % 4 quarter turns, behind a mirror if `which` >= 4; a view."""
    if which >= 4:
        image = image[:, ::-1]
    return np.rot90(image, which % 4)
