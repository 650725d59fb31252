"""White and coarse Gaussian noise and signal-dependent Poisson noise, generated from a seed in the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from facehall.data.degradations.steps import Sizes, Step, register

# BT.601, full range.
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)
_KERNEL_SIGMAS = 4  # half-width of a Gaussian kernel, in standard deviations


@register
@dataclass(frozen=True)
class GaussianNoise(Step):
    """Additive white noise, clamped to [0, 1].

    Args:
        sigma: standard deviation, where white is 1.
        grey: whether all three channels get the same noise.
        seed: seed of numpy's default generator.
    """

    op = "gaussian_noise"
    sigma: float
    grey: bool
    seed: int

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        return (image + self.sigma * _normals(self, image.shape[:2])).clip(0, 1)


@register
@dataclass(frozen=True)
class Grain(Step):
    """Additive Gaussian noise of a size, clamped to [0, 1]: film grain, or a sensor's noise after it was denoised.

    Args:
        sigma: standard deviation, where white is 1.
        size: standard deviation of the Gaussian that white noise is blurred with, in pixels.
        grey: whether all three channels get the same noise.
        seed: seed of numpy's default generator.
    """

    op = "grain"
    sigma: float
    size: float
    grey: bool
    seed: int

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        taps = cv2.getGaussianKernel(2 * max(1, round(_KERNEL_SIGMAS * self.size)) + 1, self.size, cv2.CV_32F)
        noise = cv2.sepFilter2D(_normals(self, image.shape[:2]), -1, taps, taps, borderType=cv2.BORDER_REFLECT)
        noise = noise.reshape(*image.shape[:2], -1) / float(np.square(taps).sum())  # to unit variance again
        return (image + self.sigma * noise).clip(0, 1)


@register
@dataclass(frozen=True)
class PoissonNoise(Step):
    """x + strength (Poisson(photons x) / photons - x), clamped to [0, 1].

    Args:
        photons: photon count of a white pixel.
        strength: noise factor; 1 is physical shot noise.
        grey: whether noise is computed from luma and shared by all three channels.
        seed: seed of numpy's default generator.
    """

    op = "poisson_noise"
    photons: float
    strength: float
    grey: bool
    seed: int

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        light = (image @ _LUMA)[..., None] if self.grey else image
        expected = light.clip(0, 1) * self.photons
        normals = torch.from_numpy(_normals(self, image.shape[:2]))
        noise = poisson(torch.from_numpy(expected), normals).numpy() - expected
        return (image + self.strength / self.photons * noise).clip(0, 1)


def poisson(expected: Tensor, normals: Tensor) -> Tensor:
    """Transform standard normals to Poisson counts with the given expectations.

    Uses the asymptotic quantile of Giles (2016), "Algorithm 955: approximation of the inverse Poisson cumulative
    distribution function". It is nearly continuous in the expectation, so that rounding differences between machines do
    not change the picture, as they would in a rejection sampler. Mean and variance are accurate to a few per cent for
    expectations of at least 1; an expectation of 0 gives 0.
    """
    squares = normals.square()
    correction = (squares - 1) / 6 - normals * (2 + squares) / 72 / expected.clamp(min=1).sqrt()
    return (expected + expected.sqrt() * normals + 0.5 + expected.clamp(0, 1) * correction).floor().clamp(min=0)


def _normals(step: GaussianNoise | Grain | PoissonNoise, size: Sequence[int]) -> np.ndarray:
    shape = (*size, 1 if step.grey else 3)
    return np.random.default_rng(step.seed).standard_normal(shape, dtype=np.float32)
