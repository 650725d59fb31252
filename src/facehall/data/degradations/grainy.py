"""The degradation of scanned prints and of photographs taken at a high sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facehall.data.degradations.base import interval, probability, uniform
from facehall.data.degradations.blur import isotropic
from facehall.data.degradations.jpeg import draw_jpeg
from facehall.data.degradations.noise import Grain
from facehall.data.degradations.program import ProgramDegradation, noise_seed, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Step


@dataclass(frozen=True)
class GrainyDegradation(ProgramDegradation):
    """Blur, the protocol's bicubic, noise that is coarser than a pixel, and JPEG.

    Neighbouring pixels of white noise are independent, which is true of few photographs: film grain is larger than a
    scanner's pixel, and cameras interpolate and filter a sensor's noise. A network that knows white noise only keeps
    such grain as texture. All ranges are ours.

    Args:
        sigma: range of the standard deviation of the blur, in HR pixels.
        noise: range of the standard deviation of the noise on LR, in 8-bit levels.
        grain: range of the standard deviation of the Gaussian that shapes it, in LR pixels.
        grey: probability that all channels get the same noise.
        jpeg: range of the quality, inclusive.

    Raises:
        ValueError: a setting is out of range.
    """

    kind = "grainy"
    sigma: Sequence[float] = (0.5, 6.0)
    noise: Sequence[float] = (1.0, 12.0)
    grain: Sequence[float] = (0.4, 1.4)
    grey: float = 0.5
    jpeg: Sequence[int] = (50, 98)

    def __post_init__(self) -> None:
        set_fields(
            self,
            sigma=interval("sigma", self.sigma, 0.01, 100),
            noise=interval("noise", self.noise, 0, 255),
            grain=interval("grain", self.grain, 0.1, 20),
            grey=probability("grey", self.grey),
            jpeg=interval("jpeg", self.jpeg, 1, 100),
        )

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        blur = isotropic(uniform(rng, self.sigma))
        noise, grain, grey = uniform(rng, self.noise) / 255, uniform(rng, self.grain), bool(rng.random() < self.grey)
        return [
            blur,
            Resize(1.0, "lr", "matlab"),
            Grain(noise, grain, grey, noise_seed(rng)),
            draw_jpeg(rng, self.jpeg),
        ]
