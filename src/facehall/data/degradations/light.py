"""Lighting: darkening and white balance errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facehall.data.degradations.steps import Sizes, Step, register


@register
@dataclass(frozen=True)
class Darken(Step):
    """beta (alpha x)^gamma: Lv, Li and Lu (2021), "Attention Guided Low-Light Image Enhancement with a Large Scale
    Low-Light Simulation Dataset", IJCV 129, sec. 3.

    Args:
        alpha, beta: linear factors before and after the gamma curve, in [0, 1].
        gamma: exponent, at least 1.
    """

    op = "darken"
    alpha: float
    beta: float
    gamma: float

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        return cv2.pow(image, self.gamma) * np.float32(self.beta * self.alpha**self.gamma)


@register
@dataclass(frozen=True)
class WhiteBalance(Step):
    """Multiply red, green and blue by `gains` and clamp to [0, 1]."""

    op = "white_balance"
    gains: Sequence[float]

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        return (image * np.array(self.gains, dtype=np.float32)).clip(0, 1)
