"""Photographs as telephones and websites leave them."""

from __future__ import annotations

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

_SIGMAS = 3  # of a Gaussian that its kernel holds, to either side


@dataclass(frozen=True)
class PhotoDegradation(ProgramDegradation):
    """Somewhat soft, the protocol's bicubic, somewhat noisy, and stored as a JPEG; or the protocol's bicubic alone.

    Milder than `blind_face` and `real`, and with clean pictures among them: for networks that meet the JPEG of an
    ordinary photograph and are measured on the protocol's pictures too. All ranges are ours.

    Args:
        clean: how often a picture is the protocol's; 0 to 1.
        blur: how often the others are blurred by a round Gaussian.
        sigma: its widths, in HR pixels.
        noise: standard deviation of Gaussian noise on LR, in 8-bit levels.
        grey: how often noise is the same in all channels.
        jpeg: quality, both ends included.

    Raises:
        ValueError: a setting is out of its range.
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
            sigma = uniform(rng, self.sigma)
            soft = [Blur("gaussian", 2 * round(_SIGMAS * sigma) + 1, (sigma, sigma))]
        noise = GaussianNoise(uniform(rng, self.noise) / 255, bool(rng.random() < self.grey), noise_seed(rng))
        return [*soft, shrink, noise, draw_jpeg(rng, self.jpeg)]
