"""Base class of random degradations: a fingerprint of the settings, and recipes run as programs of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar

import numpy as np
from torch import Tensor

from facehall.data.degradations.base import Recipe, fingerprinted_name
from facehall.data.degradations.steps import Step, parse, recipe, run


class ProgramDegradation:
    """Random degradation: a frozen dataclass of settings whose `steps` draws a program."""

    kind: ClassVar[str]
    random = True

    @property
    def name(self) -> str:
        """The kind plus a hash of all settings."""
        return fingerprinted_name(self.kind, asdict(self))  # type: ignore[call-overload]

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        """Draw a program that ends at LR size."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        """Draw a program as plain data; it is valid for any scale, because sizes are relative."""
        return recipe(self.steps(rng))

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        return run(parse(recipe, self.kind), hr, scale)


def set_fields(settings: object, **values: object) -> None:
    """Set fields of a frozen dataclass to their validated values; for its __post_init__."""
    for name, value in values.items():
        object.__setattr__(settings, name, value)


def noise_seed(rng: np.random.Generator) -> int:
    """Draw the seed that a recipe stores instead of the noise itself."""
    return int(rng.integers(2**32))
