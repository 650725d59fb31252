"""The mild degradation of photographs from phones and websites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facehall.data.degradations.base import interval, probability, uniform
from facehall.data.degradations.blur import isotropic
from facehall.data.degradations.jpeg import draw_jpeg
from facehall.data.degradations.noise import GaussianNoise
from facehall.data.degradations.program import ProgramDegradation, noise_seed, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Step


@dataclass(frozen=True)
class PhotoDegradation(ProgramDegradation):
    """Slight blur, the protocol's bicubic, slight noise and JPEG; or the protocol's bicubic alone.

    Milder than `blind_face` and `real`, and mixed with clean pictures: for networks that must handle ordinary JPEG
    photographs and are also evaluated with the protocol's degradation. All ranges are ours.

    Args:
        clean: probability of plain bicubic.
        blur: probability of an isotropic Gaussian blur otherwise.
        sigma: range of its standard deviation, in HR pixels.
        noise: range of the standard deviation of Gaussian noise on LR, in 8-bit levels.
        grey: probability that all channels get the same noise.
        jpeg: range of the quality, inclusive.

    Raises:
        ValueError: a setting is out of range.
    """

    kind = "photo"
    clean: float = 0.25
    blur: float = 0.5
    sigma: Sequence[float] = (0.5, 3.0)
    noise: Sequence[float] = (0.0, 6.0)
    grey: float = 0.4
    jpeg: Sequence[int] = (40, 98)

    def __post_init__(self) -> None:
        set_fields(
            self,
            clean=probability("clean", self.clean),
            blur=probability("blur", self.blur),
            sigma=interval("sigma", self.sigma, 0.01, 100),
            noise=interval("noise", self.noise, 0, 255),
            grey=probability("grey", self.grey),
            jpeg=interval("jpeg", self.jpeg, 1, 100),
        )

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        shrink = Resize(1.0, "lr", "matlab")
        if rng.random() < self.clean:
            return [shrink]
        soft: list[Step] = []
        if rng.random() < self.blur:
            soft = [isotropic(uniform(rng, self.sigma))]
        noise = GaussianNoise(uniform(rng, self.noise) / 255, bool(rng.random() < self.grey), noise_seed(rng))
        return [*soft, shrink, noise, draw_jpeg(rng, self.jpeg)]
