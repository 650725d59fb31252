"""The degradation of photographs taken in low light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facehall.data.degradations.base import interval, uniform
from facehall.data.degradations.light import Darken, WhiteBalance
from facehall.data.degradations.noise import GaussianNoise, PoissonNoise
from facehall.data.degradations.program import ProgramDegradation, noise_seed, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Step


@dataclass(frozen=True)
class LowLightDegradation(ProgramDegradation):
    """Darkening, noise and colour cast, then bicubic; HR stays unchanged, so that a network learns to brighten.

    Darkening beta (alpha x)^gamma with the ranges of Lv, Li and Lu (2021), IJCV 129, sec. 3. Shot and read noise after
    Foi et al. (2008), "Practical Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data"; the noise
    and white balance ranges are ours. Noise is added to HR pixels and averaged by downscaling.

    Args:
        alpha: range of the linear factor before the gamma curve.
        beta: range of the linear factor after it.
        gamma: range of the exponent; 5 leaves hardly a tenth of the levels.
        photons: range of the photon count of a white HR pixel, where relative shot noise is 1 / sqrt(photons).
        read_noise: range of the standard deviation, in 8-bit levels.
        white_balance: range of the gain, drawn separately for red and blue.

    Raises:
        ValueError: a setting is out of range.
    """

    kind = "low_light"
    alpha: Sequence[float] = (0.9, 1.0)
    beta: Sequence[float] = (0.5, 1.0)
    gamma: Sequence[float] = (1.5, 5.0)
    photons: Sequence[float] = (30.0, 1000.0)
    read_noise: Sequence[float] = (1.0, 12.0)
    white_balance: Sequence[float] = (0.8, 1.25)

    def __post_init__(self) -> None:
        set_fields(
            self,
            alpha=interval("alpha", self.alpha, 0, 1),
            beta=interval("beta", self.beta, 0, 1),
            gamma=interval("gamma", self.gamma, 1, 10),
            photons=interval("photons", self.photons, 1, 1e6),
            read_noise=interval("read_noise", self.read_noise, 0, 255),
            white_balance=interval("white_balance", self.white_balance, 0.1, 10),
        )

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        return [
            Darken(uniform(rng, self.alpha), uniform(rng, self.beta), uniform(rng, self.gamma)),
            PoissonNoise(uniform(rng, self.photons), 1.0, False, noise_seed(rng)),
            GaussianNoise(uniform(rng, self.read_noise) / 255, False, noise_seed(rng)),
            WhiteBalance((uniform(rng, self.white_balance), 1.0, uniform(rng, self.white_balance))),
            Resize(1.0, "lr", "matlab"),
        ]
