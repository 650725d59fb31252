"""The blind face restoration degradation of GFP-GAN."""

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
    """Blur, downsampling, noise, JPEG, then resizing to LR: GFP-GAN (Wang et al. 2021), eq. 10 and sec. 4.1.

    Defaults follow its released options, slightly wider than the paper's (sigma 0.2 to 10, downsample 1 to 8, noise 0
    to 15). The original ends at HR size and also shifts colours; this one ends at H / scale, the input of a network
    with a fixed scale, and keeps colours. The ranges are meant for 512-pixel faces: sigma 10 destroys a 128-pixel face,
    so reduce `sigma` and `downsample` in proportion.

    Args:
        kernel_size: side of the blur kernel in HR pixels, odd.
        anisotropic: probability of an anisotropic blur at a random angle.
        sigma: range of the blur's standard deviations, in HR pixels.
        downsample: range of the downsampling factor, bilinear without antialiasing; below 1 it upsamples.
        noise: range of the standard deviation of Gaussian colour noise on the small picture, in 8-bit levels.
        jpeg: range of the quality, inclusive.

    Raises:
        ValueError: a setting is out of range.
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
            raise ValueError(f"kernel_size must be odd and positive, not {self.kernel_size}")
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
