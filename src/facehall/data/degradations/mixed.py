"""A mixture of degradations, for networks that must handle photographs of all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from facehall.data.degradations.base import fingerprinted_name
from facehall.data.degradations.program import ProgramDegradation, set_fields
from facehall.data.degradations.steps import Step


@dataclass(frozen=True)
class MixedDegradation(ProgramDegradation):
    """One of several random degradations, drawn for each picture.

    Args:
        degradations: name -> degradation; any but the protocol's bicubic, which `PhotoDegradation` includes.
        chances: the same names -> how often each is drawn, relative to the others.

    Raises:
        ValueError: the names differ, a chance is not above 0, or a degradation cannot be mixed.
    """

    kind = "mixed"
    degradations: Mapping[str, ProgramDegradation]
    chances: Mapping[str, float]

    def __post_init__(self) -> None:
        set_fields(self, degradations=dict(self.degradations), chances=dict(self.chances))
        if not self.degradations or set(self.degradations) != set(self.chances):
            raise ValueError(
                f"degradations and chances must have the same names, not {', '.join(self.degradations) or 'none'} and "
                f"{', '.join(self.chances) or 'none'}"
            )
        for name, chance in self.chances.items():
            if isinstance(chance, bool) or not isinstance(chance, (int, float)) or not 0 < chance < float("inf"):
                raise ValueError(f"chances.{name} must be a number above 0, not {chance}")
            if not isinstance(self.degradations[name], ProgramDegradation):
                kind = type(self.degradations[name]).__name__
                raise ValueError(
                    f"degradations.{name} must be a random degradation, such as PhotoDegradation, not {kind}"
                )

    @property
    def name(self) -> str:
        parts = {name: each.name for name, each in self.degradations.items()}
        return fingerprinted_name(self.kind, [parts, asdict(self)["chances"]])

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        chances = np.array([self.chances[name] for name in self.degradations], dtype=float)
        chosen = list(self.degradations)[rng.choice(len(chances), p=chances / chances.sum())]
        return self.degradations[chosen].steps(rng)
