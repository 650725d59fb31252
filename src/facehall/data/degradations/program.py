"""What random degradations share: settings that name them, and recipes that are carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar

import numpy as np
from torch import Tensor

from facehall.data.degradations.base import Recipe, named
from facehall.data.degradations.steps import Step, parse, recipe, run


class ProgramDegradation:
    """A random degradation: a frozen dataclass of its settings whose `steps` draws a program."""

    kind: ClassVar[str]
    random = True

    @property
    def name(self) -> str:
        """Kind and a fingerprint of all settings."""
        return named(self.kind, asdict(self))  # type: ignore[call-overload]

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        """Draw a program that ends at LR's size."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        """A program as plain data; it holds for any scale, because sizes are relative."""
        return recipe(self.steps(rng))

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        return run(parse(recipe, self.kind), hr, scale)


def set_fields(settings: object, **values: object) -> None:
    """Replace fields of a frozen dataclass by their checked forms, in its __post_init__."""
    for name, value in values.items():
        object.__setattr__(settings, name, value)


def noise_seed(rng: np.random.Generator) -> int:
    """What a recipe holds in place of noise."""
    return int(rng.integers(2**32))
