"""The second-order degradation of Real-ESRGAN, for photographs from the internet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from facehall.data.degradations.base import interval, probability, uniform
from facehall.data.degradations.blur import Blur, Shape, Sinc
from facehall.data.degradations.jpeg import draw_jpeg
from facehall.data.degradations.noise import GaussianNoise, PoissonNoise
from facehall.data.degradations.program import ProgramDegradation, noise_seed, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Step

_MODES = ("area", "bilinear", "bicubic")
_PHOTONS = 256.0  # Real-ESRGAN uses the picture's number of levels, rounded up to a power of two
_SHAPES = {f"{shape}_{axes}": (shape, axes == "aniso") for shape in get_args(Shape) for axes in ("iso", "aniso")}
_KERNELS = {
    "gaussian_iso": 0.45,
    "gaussian_aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}


@dataclass(frozen=True)
class RealStage:
    """One stage of blur, resize, noise and JPEG. The defaults are the published first stage.

    Args:
        blur: probability of a blur.
        kernel_size: range of the odd side of blur kernels, in pixels at that step.
        kernels: weight of each kernel, {gaussian, generalized, plateau} x {_iso, _aniso}; normalised.
        sinc: probability of a sinc filter instead of these kernels.
        sigma: range of the blur's standard deviations, in pixels at that step.
        generalized_beta, plateau_beta: range of beta, see `Blur`; half of the draws are below 1 if 1 lies inside.
        up, down: probability of upsampling and downsampling; otherwise the size stays.
        resize: range of the factor, around 1; relative to HR size in the first stage, to LR size in the second.
        gaussian: probability of Gaussian noise; otherwise Poisson.
        noise: range of the standard deviation of Gaussian noise, in 8-bit levels.
        poisson: range of the strength of Poisson noise; 1 corresponds to 256 photons per white pixel.
        grey: probability that all channels get the same noise.
        jpeg: range of the quality, inclusive.

    Raises:
        ValueError: a setting is out of range.
    """

    blur: float = 1.0
    kernel_size: Sequence[int] = (7, 21)
    kernels: Mapping[str, float] = field(default_factory=lambda: dict(_KERNELS))
    sinc: float = 0.1
    sigma: Sequence[float] = (0.2, 3.0)
    generalized_beta: Sequence[float] = (0.5, 4.0)
    plateau_beta: Sequence[float] = (1.0, 2.0)
    up: float = 0.2
    down: float = 0.7
    resize: Sequence[float] = (0.15, 1.5)
    gaussian: float = 0.5
    noise: Sequence[float] = (1.0, 30.0)
    poisson: Sequence[float] = (0.05, 3.0)
    grey: float = 0.4
    jpeg: Sequence[int] = (30, 95)

    def __post_init__(self) -> None:
        set_fields(self, **{key: probability(key, getattr(self, key)) for key in _PROBABILITIES})
        set_fields(self, **{key: interval(key, getattr(self, key), *ends) for key, ends in _INTERVALS.items()})
        if self.up + self.down > 1:
            raise ValueError(f"up ({self.up}) and down ({self.down}) must be probabilities that sum to at most 1")
        if not self.resize[0] <= 1 <= self.resize[1]:
            raise ValueError(f"resize must be a range around 1, not {list(self.resize)}")
        if any(side % 2 == 0 for side in self.kernel_size):
            raise ValueError(f"kernel_size must be a range of odd sides, not {list(self.kernel_size)}")
        unknown = set(self.kernels) - set(_SHAPES)
        if unknown or not sum(self.kernels.values()) > 0 or min(self.kernels.values()) < 0:
            raise ValueError(f"kernels must map {', '.join(_SHAPES)} to probabilities, not {dict(self.kernels)}")
        set_fields(self, kernels={shape: float(self.kernels[shape]) for shape in _SHAPES if shape in self.kernels})

    def draw_blur(self, rng: np.random.Generator) -> Step:
        size = draw_odd(rng, self.kernel_size)
        if rng.random() < self.sinc:
            return Sinc(size, float(rng.uniform(math.pi / (3 if size < 13 else 5), math.pi)))
        weights = np.array(list(self.kernels.values()))
        shape, elongated = _SHAPES[list(self.kernels)[int(rng.choice(len(weights), p=weights / weights.sum()))]]
        first = uniform(rng, self.sigma)
        sigma, angle = (first, first), 0.0
        if elongated:
            sigma, angle = (first, uniform(rng, self.sigma)), float(rng.uniform(-math.pi, math.pi))
        beta = 1.0
        if shape != "gaussian":
            low, high = self.generalized_beta if shape == "generalized" else self.plateau_beta
            halves = [(low, 1.0), (1.0, high)] if low <= 1 <= high else [(low, high)]
            beta = uniform(rng, halves[int(rng.integers(len(halves)))])
        return Blur(shape, size, sigma, angle, beta)

    def draw_factor(self, rng: np.random.Generator) -> float:
        kind = rng.random()
        if kind < self.up:
            return float(rng.uniform(1, self.resize[1]))
        return float(rng.uniform(self.resize[0], 1)) if kind < self.up + self.down else 1.0

    def draw_noise(self, rng: np.random.Generator) -> Step:
        grey = bool(rng.random() < self.grey)
        if rng.random() < self.gaussian:
            return GaussianNoise(uniform(rng, self.noise) / 255, grey, noise_seed(rng))
        return PoissonNoise(_PHOTONS, uniform(rng, self.poisson), grey, noise_seed(rng))


_PROBABILITIES = ("blur", "sinc", "up", "down", "gaussian", "grey")
_INTERVALS = {
    "kernel_size": (1, 99),
    "sigma": (0.01, 100),
    "generalized_beta": (0.1, 10),
    "plateau_beta": (0.1, 10),
    "resize": (0.02, 8),
    "noise": (0, 255),
    "poisson": (0, 100),
    "jpeg": (1, 100),
}


def second_stage() -> RealStage:
    """Return the published second stage."""
    return RealStage(
        blur=0.8, sigma=(0.2, 1.5), up=0.3, down=0.4, resize=(0.3, 1.2), noise=(1.0, 25.0), poisson=(0.05, 2.5)
    )


@dataclass(frozen=True)
class RealDegradation(ProgramDegradation):
    """Two stages of blur, resize, noise and JPEG with a final sinc filter: Real-ESRGAN (Wang et al. 2021), sec. 3.

    The second JPEG comes before or after [resize to LR size, sinc filter] with equal probability. Values are those of
    the released options. Real-ESRGAN also sharpens HR, which is not a degradation and is left to the data. Its area
    resizing is torch's, which differs from OpenCV's used here when factors are not integers.

    Args:
        first, second: the two stages.
        final_sinc: probability of the final sinc filter; its kernel has 7 to 21 pixels, its cutoff is pi / 3 to pi.

    Raises:
        ValueError: a setting is out of range.
    """

    kind = "real"
    first: RealStage = field(default_factory=RealStage)
    second: RealStage = field(default_factory=second_stage)
    final_sinc: float = 0.8

    def __post_init__(self) -> None:
        set_fields(self, final_sinc=probability("final_sinc", self.final_sinc))

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        steps: list[Step] = []
        for stage, of in ((self.first, "hr"), (self.second, "lr")):
            if rng.random() < stage.blur:
                steps.append(stage.draw_blur(rng))
            steps.append(Resize(stage.draw_factor(rng), of, _draw_mode(rng)))  # type: ignore[arg-type]
            steps.append(stage.draw_noise(rng))
            if of == "hr":
                steps.append(draw_jpeg(rng, stage.jpeg))
        final: list[Step] = [Resize(1.0, "lr", _draw_mode(rng))]  # type: ignore[arg-type]
        if rng.random() < self.final_sinc:
            final.append(Sinc(draw_odd(rng, (7, 21)), float(rng.uniform(math.pi / 3, math.pi))))
        jpeg: list[Step] = [draw_jpeg(rng, self.second.jpeg)]
        return [*steps, *(final + jpeg if rng.random() < 0.5 else jpeg + final)]


def draw_odd(rng: np.random.Generator, ends: Sequence[float]) -> int:
    """Draw an odd number from an inclusive range with odd ends."""
    low, high = int(ends[0]), int(ends[1])
    return low + 2 * int(rng.integers((high - low) // 2, endpoint=True))


def _draw_mode(rng: np.random.Generator) -> str:
    return _MODES[int(rng.integers(len(_MODES)))]
