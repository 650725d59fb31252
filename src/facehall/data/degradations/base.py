"""What every degradation is, and which parameters a picture of a fixed set gets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

Recipe = dict[str, Any]
"""Everything random about one degradation, as plain numbers, strings, lists and dicts that JSON can hold."""


class Degradation(Protocol):
    """How an LR image is made from an HR one, always as a function of (hr, scale, recipe)."""

    @property
    def name(self) -> str:
        """Identifies it with its settings: two degradations that can differ in output have different names."""

    @property
    def random(self) -> bool:
        """False where LR is a function of HR alone, so that it may be stored."""

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        """The random parameters of one picture; {} where nothing is random."""

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        """Hr (3, H, W) float32 in [0, 1], sides multiples of the scale -> lr (3, H / scale, W / scale) on 8-bit levels.

        Raises ValueError where a random one gets no recipe, or any one a recipe that it does not understand.
        """


def recipe_of(name: str, seed: int, degradation: Degradation, scale: int) -> Recipe:
    """The recipe of the picture `name` in a fixed set: the same on every machine, whatever stands beside it."""
    digest = hashlib.sha256(name.encode()).digest()
    return degradation.draw(np.random.default_rng([seed, int.from_bytes(digest[:8], "big")]), scale)


def named(kind: str, settings: Any) -> str:
    """`kind` and a fingerprint of its settings, which JSON must be able to hold."""
    text = json.dumps(settings, sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def interval(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """A range [a, b] with low <= a <= b <= high as two floats.

    Raises:
        ValueError: it is none; names the argument.
    """
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if (
        len(numbers) != 2
        or not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
        or not low <= numbers[0] <= numbers[1] <= high
    ):
        raise ValueError(f"{name} is a range [a, b] with {low:g} <= a <= b <= {high:g}, not {value}")
    return float(numbers[0]), float(numbers[1])


def probability(name: str, value: float) -> float:
    """A number in [0, 1]; ValueError names the argument where it is none."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability between 0 and 1, not {value}")
    return float(value)


def uniform(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """A plain float, uniform in the range."""
    low, high = bounds
    return float(rng.uniform(low, high))
