"""Patch mining: random corners, flat patches rejected (the paper's sec. 3.2)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from facehall.data.patches.flatness import MEASURES, Measure, flatness_map

INDEX_TYPE = np.dtype([("corner", "<i4"), ("flatness", "<f4")])


@dataclass(frozen=True)
class Corner:
    """An accepted patch: its top-left corner in LR pixels, its flatness, and how many were rejected before it."""

    top: int
    left: int
    flatness: float
    rejections: int


@dataclass(frozen=True)
class Mining:
    """Accept a random patch if it is not flat, or if the budget of rejections is spent.

    Naive rejection draws corners until one is accepted. With the corners of a picture sorted by flatness the accepted
    ones are a tail of the list, whatever the threshold: the number of rejections is a geometric variable, and the
    corner a uniform choice from the tail. That is the same distribution at a cost that does not grow with the
    rejections.

    Args:
        measure: how flatness is measured, on the LR patch; see `facehall.data.patches.flatness`.
        threshold: tau of epoch 0; 0 accepts everything.
        increase: what tau gains every `increase_every` epochs.
        increase_every: in epochs.
        max_threshold: where tau stops.
        max_rejections: n, for each patch.
        group: so many patches in succession come from one picture and share a budget of n * group; with the batch size
            it is the library's way, with 1 each patch is on its own.
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
            raise ValueError(f"measure is one of {', '.join(MEASURES)}, not {self.measure!r}")
        if not 0 <= self.threshold <= self.max_threshold <= 0.5 or self.increase < 0:
            raise ValueError(
                f"0 <= threshold ({self.threshold}) <= max_threshold ({self.max_threshold}) <= 0.5 and increase "
                f"({self.increase}) >= 0 are needed: no patch in [0, 1] has a standard deviation above 0.5"
            )
        if self.increase_every < 1 or self.max_rejections < 0 or self.group < 1:
            raise ValueError(
                f"increase_every ({self.increase_every}) and group ({self.group}) are at least 1 and max_rejections "
                f"({self.max_rejections}) not negative"
            )

    def threshold_at(self, epoch: int) -> float:
        """tau_e = min(max_threshold, threshold + floor(e / increase_every) * increase)."""
        return min(self.max_threshold, self.threshold + epoch // self.increase_every * self.increase)

    def index(self, lr: np.ndarray, size: int) -> np.ndarray:
        """Every corner of a picture, the flattest patch first: what patches are drawn from.

        Args:
            lr: (h, w, 3) uint8 with h, w >= size.
            size: side of a patch in LR pixels.

        Returns:
            ((h - size + 1) * (w - size + 1),) of INDEX_TYPE; `corner` counts along the rows.
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
            index: of the picture, from `index`.
            columns: corners in a row of the picture, its width - size + 1.
            epoch: counted from 0.
            rng: what decides.
            budget: rejections that are left; None for max_rejections.
        """
        budget = self.max_rejections if budget is None else budget
        flat = bisect_left(index["flatness"], self.threshold_at(epoch))  # NumPy's would copy the column
        good = len(index) - flat
        rejections = min(budget, int(rng.geometric(good / len(index))) - 1) if good else budget
        first = flat if rejections < budget else 0  # what comes when the budget is spent may be any patch
        place = int(rng.integers(first, len(index)))
        top, left = divmod(int(index["corner"][place]), columns)
        return Corner(top, left, float(index["flatness"][place]), rejections)
