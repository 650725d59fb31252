"""Blur: isotropic or anisotropic Gaussian, generalised Gaussian and plateau kernels, and sinc filters for ringing.

Kernels as in Real-ESRGAN (Wang et al. 2021, sec. 3.1 and 3.3, and its released options). Borders are padded by
reflection without repeating the edge pixel, which avoids dark rims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from facehall.data.degradations.steps import Sizes, Step, register

Shape = Literal["gaussian", "generalized", "plateau"]


class _Filter(Step):
    def kernel(self) -> np.ndarray:
        """Return the kernel, (k, k) float32, k odd, point-symmetric, sum 1."""
        raise NotImplementedError

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        return cv2.filter2D(image, -1, self.kernel(), borderType=cv2.BORDER_REFLECT_101)


@register
@dataclass(frozen=True)
class Blur(_Filter):
    """Bell-shaped blur in u = d' S^-1 d, d the offset from the centre, S the covariance given by `sigma` and `angle`.

    Args:
        shape: gaussian: exp(-u / 2); generalized: exp(-u^beta / 2); plateau: 1 / (1 + u^beta).
        size: side of the kernel in pixels, odd.
        sigma: standard deviations along the two axes, in pixels at this step.
        angle: angle of the first axis, in radians.
        beta: exponent, see `shape`; unused for gaussian.
    """

    op = "blur"
    shape: Shape
    size: int
    sigma: Sequence[float]
    angle: float = 0.0
    beta: float = 1.0

    def kernel(self) -> np.ndarray:
        y, x = _grid(self.size)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u = ((cos * x + sin * y) / self.sigma[0]) ** 2 + ((cos * y - sin * x) / self.sigma[1]) ** 2
        if self.shape == "plateau":
            return _normalised(1 / (1 + u**self.beta))
        return _normalised(np.exp(-0.5 * (u if self.shape == "gaussian" else u**self.beta)))

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        if self.shape == "gaussian" and self.sigma[0] == self.sigma[1]:  # the only separable kernel; faster
            axis = self.kernel().sum(axis=0)
            return cv2.sepFilter2D(image, -1, axis, axis, borderType=cv2.BORDER_REFLECT_101)
        return super().apply(image, sizes)


def isotropic(sigma: float) -> Blur:
    """Return a Gaussian blur of a standard deviation in pixels; its kernel ends at three of them."""
    return Blur("gaussian", 2 * round(3 * sigma) + 1, (sigma, sigma))


@register
@dataclass(frozen=True)
class Sinc(_Filter):
    """Circular ideal low-pass filter, truncated to the kernel: J1(w r) w / (2 pi r).

    Args:
        size: side of the kernel in pixels, odd.
        cutoff: w, in radians per pixel; pi passes everything.
    """

    op = "sinc"
    size: int
    cutoff: float

    def kernel(self) -> np.ndarray:
        y, x = _grid(self.size)
        r = np.hypot(x, y)
        r[self.size // 2, self.size // 2] = 1e-6  # gives the limit w^2 / (4 pi) to 12 digits
        bessel = torch.special.bessel_j1(torch.from_numpy(self.cutoff * r)).numpy()
        return _normalised(self.cutoff * bessel / (2 * np.pi * r))


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"the side of a blur kernel must be odd, not {size}")
    axis = np.arange(size) - size // 2
    return axis[:, None].astype(np.float64), axis[None, :].astype(np.float64)


def _normalised(kernel: np.ndarray) -> np.ndarray:
    return (kernel / kernel.sum()).astype(np.float32)
