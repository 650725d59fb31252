"""The degradation of blind face restoration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facehall.data.degradations.base import interval, probability, uniform
from facehall.data.degradations.blur import Blur
from facehall.data.degradations.jpeg import draw_jpeg
from facehall.data.degradations.noise import GaussianNoise
from facehall.data.degradations.program import ProgramDegradation, noise_seed, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Step


@dataclass(frozen=True)
class BlindFaceDegradation(ProgramDegradation):
    """Blur, shrink, noise, JPEG, and back to LR's size: GFP-GAN (Wang et al. 2021), eq. 10 and sec. 4.1.

    The defaults are those of its released options, a little wider than the paper's (sigma 0.2 to 10, downsample 1 to
    8, noise 0 to 15). Theirs ends at HR's size and changes colours too; here it ends at H / scale, which a network of
    a fixed scale takes, and colours stay. Their ranges are meant for faces of 512 pixels: a face of 128 pixels that
    is blurred by sigma 10 is gone, so shrink `sigma` and `downsample` with the faces.

    Args:
        kernel_size: side of the blur kernel in HR pixels, odd.
        anisotropic: how often the blur is elongated, in any direction; 0 to 1.
        sigma: widths of the blur, in HR pixels.
        downsample: by how much HR shrinks, bilinear without antialiasing; below 1 it grows.
        noise: standard deviation of Gaussian colour noise on the small picture, in 8-bit levels.
        jpeg: quality, both ends included.

    Raises:
        ValueError: a setting is out of its range.
    """

    kind = "blind_face"
    kernel_size: int = 41
    anisotropic: float = 0.5
    sigma: Sequence[float] = (0.1, 10.0)
    downsample: Sequence[float] = (0.8, 8.0)
    noise: Sequence[float] = (0.0, 20.0)
    jpeg: Sequence[int] = (60, 100)

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is odd and positive, not {self.kernel_size}")
        set_fields(
            self,
            anisotropic=probability("anisotropic", self.anisotropic),
            sigma=interval("sigma", self.sigma, 0.01, 100),
            downsample=interval("downsample", self.downsample, 0.25, 32),
            noise=interval("noise", self.noise, 0, 255),
            jpeg=interval("jpeg", self.jpeg, 1, 100),
        )

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        first = uniform(rng, self.sigma)
        sigma, angle = (first, first), 0.0
        if rng.random() < self.anisotropic:
            sigma, angle = (first, uniform(rng, self.sigma)), float(rng.uniform(-math.pi, math.pi))
        return [
            Blur("gaussian", self.kernel_size, sigma, angle),
            Resize(1 / uniform(rng, self.downsample), "hr", "bilinear"),
            GaussianNoise(uniform(rng, self.noise) / 255, False, noise_seed(rng)),
            draw_jpeg(rng, self.jpeg),
            Resize(1.0, "lr", "bilinear"),
        ]
