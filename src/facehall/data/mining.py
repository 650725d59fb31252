"""Patch mining: random corners, flat patches rejected (the paper's sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Measure = Literal["std", "isr"]


def flatness_std(patch: np.ndarray) -> float:
    """Population standard deviation of all pixel intensities. (h, w, 3) in [0, 1] -> [0, 0.5]."""
    return float(patch.std())


def flatness_isr(patch: np.ndarray) -> float:
    """max(mean over columns and channels of the std down a column, the same of the rows), as the library that the
    paper paraphrases measures it. (h, w, 3) in [0, 1] -> [0, 0.5].
    """
    return float(max(patch.std(axis=0).mean(), patch.std(axis=1).mean()))


FLATNESS = {"std": flatness_std, "isr": flatness_isr}


@dataclass(frozen=True)
class Corner:
    """An accepted patch: its top-left corner in LR pixels, its flatness, and how many were rejected before it."""

    top: int
    left: int
    flatness: float
    rejections: int


@dataclass(frozen=True)
class Mining:
    """Accept a random patch if it is not flat, or if `max_rejections` have been rejected already.

    Args:
        measure: how flatness is measured, on the LR patch.
        threshold: tau of epoch 0; 0 accepts everything.
        increase: what tau gains every `increase_every` epochs.
        increase_every: in epochs.
        max_threshold: where tau stops.
        max_rejections: n, per patch.
    """

    measure: Measure = "std"
    threshold: float = 0.0
    increase: float = 0.0
    increase_every: int = 5
    max_threshold: float = 0.15
    max_rejections: int = 50

    def __post_init__(self) -> None:
        if self.measure not in FLATNESS:
            raise ValueError(f"measure is one of {', '.join(FLATNESS)}, not {self.measure!r}")
        if not 0 <= self.threshold <= self.max_threshold <= 0.5 or self.increase < 0:
            raise ValueError(
                f"0 <= threshold ({self.threshold}) <= max_threshold ({self.max_threshold}) <= 0.5 and increase "
                f"({self.increase}) >= 0 are needed: no patch in [0, 1] has a standard deviation above 0.5"
            )
        if self.increase_every < 1 or self.max_rejections < 0:
            raise ValueError(
                f"increase_every ({self.increase_every}) is at least 1 and max_rejections ({self.max_rejections}) "
                "not negative"
            )

    def threshold_at(self, epoch: int) -> float:
        """tau_e = min(max_threshold, threshold + floor(e / increase_every) * increase)."""
        return min(self.max_threshold, self.threshold + epoch // self.increase_every * self.increase)

    def mine(self, lr: np.ndarray, size: int, epoch: int, rng: np.random.Generator) -> Corner:
        """Draw a patch of `size` x `size` LR pixels.

        Args:
            lr: (h, w, 3) uint8 with h, w >= size.
            epoch: counted from 0.
            rng: what decides.
        """
        tau = self.threshold_at(epoch)
        height, width = lr.shape[:2]
        rejections = 0
        while True:
            top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
            patch = lr[top : top + size, left : left + size].astype(np.float32) / 255
            flatness = FLATNESS[self.measure](patch)
            if flatness >= tau or rejections == self.max_rejections:
                return Corner(top, left, flatness, rejections)
            rejections += 1
