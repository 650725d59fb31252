"""What a measure is: its name, how it is written, which way is better and what it needs. Plain data, no tensors.

Tables, curves, the choice of the best weights, sweeps and dashboards read these declarations and know no measure by
name. How a measure is computed stands beside its declaration, in `facehall.metrics.judges` or in a user's package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Measure:
    """The declaration of a measure.

    Attributes:
        name: its key in config files, metrics.csv, summary.json and table.csv.
        label: its heading in tables and curves.
        better: which way is better.
        format: format specification of its values, for tables.
        unit: of its values, for curves and text; empty if it has none.
        needs: what it is computed from, in the order of the judge's arguments. The protocol provides ``sr`` and ``hr``
            (rounded to 8 bits, border cut off), ``sr_y`` and ``hr_y`` (their luma), ``sr_whole`` and ``hr_whole``
            (rounded, border kept), ``sr_exact`` and ``hr_exact`` (only clamped, border kept) and ``scale``; any other
            name is a key of the batch: ``lr``, or an annotation such as ``landmarks``.
        headline: shown in curves, epoch lines and the tables of trainings and sweeps; the others only in evaluations
            and files.
        perceptual: judges appearance rather than signal. The first such measure of a protocol chooses the best
            weights and the worst pictures.
        description: in a few words.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    format: str = ".4f"
    unit: str = ""
    needs: tuple[str, ...] = ("sr", "hr")
    headline: bool = True
    perceptual: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"measure {self.name!r}: better is 'higher' or 'lower', not {self.better!r}")

    @property
    def title(self) -> str:
        """The heading of a curve: label, unit and direction."""
        return f"{self.label}{f' in {self.unit}' if self.unit else ''}, {self.better} is better"

    def text(self, value: float, unit: bool = False) -> str:
        """A value as tables show it."""
        return f"{value:{self.format}}{f' {self.unit}' if unit and self.unit else ''}"

    def cost(self, value: float) -> float:
        """The value turned so that lower is better."""
        return value if self.better == "lower" else -value


def headlines(measures: Iterable[Measure]) -> list[Measure]:
    """Those that summaries show."""
    return [measure for measure in measures if measure.headline]


def ranking(measures: Sequence[Measure]) -> Measure:
    """The measure that ranks weights and pictures: the first perceptual one, else the first."""
    return next((measure for measure in measures if measure.perceptual), measures[0])


def to_json(measures: Iterable[Measure]) -> dict[str, dict[str, Any]]:
    """The declarations by name, for summary.json: whoever reads the numbers later may not have the user's package."""
    return {measure.name: asdict(measure) for measure in measures}


def from_json(declared: Mapping[str, Mapping[str, Any]]) -> list[Measure]:
    """What `to_json` gave; keys of newer versions are left out."""
    known = {field.name for field in fields(Measure)}
    kept = [{key: value for key, value in each.items() if key in known} for each in declared.values()]
    return [Measure(**{**each, "needs": tuple(each.get("needs", ()))}) for each in kept]
