"""The Degradation protocol, fixed recipes for evaluation sets, and validation of settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

Recipe = dict[str, Any]
"""All random parameters of one application of a degradation, as JSON-compatible plain data."""


class Degradation(Protocol):
    """Makes an LR image from an HR image: a deterministic function of (hr, scale, recipe)."""

    @property
    def name(self) -> str:
        """Identifies the degradation and its settings: if two can differ in output, their names differ."""

    @property
    def random(self) -> bool:
        """False if LR depends on HR alone and may therefore be cached."""

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        """Draw the random parameters for one picture; {} if nothing is random."""

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        """Make LR from HR.

        Args:
            hr: (3, H, W) float32 in [0, 1], sides multiples of the scale.

        Returns:
            (3, H / scale, W / scale) on 8-bit levels.

        Raises:
            ValueError: a random degradation gets no recipe, or the recipe is invalid.
        """


def recipe_of(name: str, seed: int, degradation: Degradation, scale: int) -> Recipe:
    """Return the recipe of picture `name` in a fixed set; it depends on no other picture and on no machine."""
    digest = hashlib.sha256(name.encode()).digest()
    return degradation.draw(np.random.default_rng([seed, int.from_bytes(digest[:8], "big")]), scale)


def fingerprinted_name(kind: str, settings: Any) -> str:
    """Return `kind` plus a hash of its settings, which must be JSON-serialisable."""
    text = json.dumps(settings, sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def interval(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """Validate a range [a, b] with low <= a <= b <= high and return it as two floats.

    Raises:
        ValueError: `value` is not such a range; the message names the argument.
    """
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if (
        len(numbers) != 2
        or not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
        or not low <= numbers[0] <= numbers[1] <= high
    ):
        raise ValueError(f"{name} must be a range [a, b] with {low:g} <= a <= b <= {high:g}, not {value}")
    return float(numbers[0]), float(numbers[1])


def probability(name: str, value: float) -> float:
    """Validate a number in [0, 1] and return it as a float; the ValueError names the argument."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability between 0 and 1, not {value}")
    return float(value)


def uniform(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """Draw a plain float uniformly from the range."""
    low, high = bounds
    return float(rng.uniform(low, high))
