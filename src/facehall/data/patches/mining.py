"""Patch mining: draw random corners and reject flat patches (the paper's sec. 3.2)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from facehall.data.patches.flatness import MEASURES, Measure, flatness_map

INDEX_TYPE = np.dtype([("corner", "<i4"), ("flatness", "<f4")])


@dataclass(frozen=True)
class Corner:
    """An accepted patch: top-left corner in LR pixels, flatness, and number of rejections before it."""

    top: int
    left: int
    flatness: float
    rejections: int


@dataclass(frozen=True)
class Mining:
    """Accept a random patch if it is not flat, or if the rejection budget is spent.

    Naive rejection sampling draws corners until one is accepted. If the corners of a picture are sorted by flatness,
    the acceptable ones are a tail of the list for any threshold, so the number of rejections is geometric and the
    corner is uniform over the tail. Drawing these directly gives the same distribution at a cost independent of the
    number of rejections.

    Args:
        measure: flatness measure of the LR patch; see `facehall.data.patches.flatness`.
        threshold: tau at epoch 0; 0 accepts everything.
        increase: added to tau every `increase_every` epochs.
        increase_every: in epochs.
        max_threshold: upper limit of tau.
        max_rejections: n, per patch.
        group: number of consecutive patches that come from one picture and share a budget of n * group. The batch size
            reproduces the ISR library; 1 treats each patch separately.
    """

    measure: Measure = "std"
    threshold: float = 0.0
    increase: float = 0.0
    increase_every: int = 5
    max_threshold: float = 0.15
    max_rejections: int = 50
    group: int = 1

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {self.measure!r}")
        if not 0 <= self.threshold <= self.max_threshold <= 0.5 or self.increase < 0:
            raise ValueError(
                f"0 <= threshold ({self.threshold}) <= max_threshold ({self.max_threshold}) <= 0.5 and increase "
                f"({self.increase}) >= 0 are required: the standard deviation of values in [0, 1] never exceeds 0.5"
            )
        if self.increase_every < 1 or self.max_rejections < 0 or self.group < 1:
            raise ValueError(
                f"increase_every ({self.increase_every}) and group ({self.group}) must be at least 1, max_rejections "
                f"({self.max_rejections}) at least 0"
            )

    def threshold_at(self, epoch: int) -> float:
        """Return tau_e = min(max_threshold, threshold + floor(e / increase_every) * increase)."""
        return min(self.max_threshold, self.threshold + epoch // self.increase_every * self.increase)

    def index(self, lr: np.ndarray, size: int) -> np.ndarray:
        """Index all corners of a picture, sorted by flatness, flattest first.

        Args:
            lr: (h, w, 3) uint8 with h, w >= size.
            size: side of a patch in LR pixels.

        Returns:
            ((h - size + 1) * (w - size + 1),) of INDEX_TYPE; `corner` is a row-major position.
        """
        values = flatness_map(lr, size, self.measure).ravel()
        order = np.argsort(values, kind="stable")
        index = np.empty(len(order), INDEX_TYPE)
        index["corner"], index["flatness"] = order, values[order]
        return index

    def draw(
        self, index: np.ndarray, columns: int, epoch: int, rng: np.random.Generator, budget: int | None = None
    ) -> Corner:
        """Draw a patch.

        Args:
            index: result of `index` for the picture.
            columns: corners per row, picture width - size + 1.
            epoch: counted from 0.
            rng: source of randomness.
            budget: remaining rejections; None for max_rejections.
        """
        budget = self.max_rejections if budget is None else budget
        flat = bisect_left(index["flatness"], self.threshold_at(epoch))  # np.searchsorted would copy the column
        good = len(index) - flat
        rejections = min(budget, int(rng.geometric(good / len(index))) - 1) if good else budget
        first = flat if rejections < budget else 0  # once the budget is spent, any patch is accepted
        place = int(rng.integers(first, len(index)))
        top, left = divmod(int(index["corner"][place]), columns)
        return Corner(top, left, float(index["flatness"][place]), rejections)
