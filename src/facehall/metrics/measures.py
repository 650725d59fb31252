"""Declarations of measures: name, format, direction and required inputs. Plain data, no tensors.

Tables, curves, the selection of the best weights, sweeps and dashboards read these declarations and hard-code no
measure. The computation is next to the declaration, in `facehall.metrics.judges` or in a user's package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Measure:
    """The declaration of a measure.

    Attributes:
        name: key in config files, metrics.csv, summary.json and table.csv.
        label: heading in tables and curves.
        better: whether higher or lower values are better.
        format: format specification of the values in tables.
        unit: unit of the values in curves and text; may be empty.
        needs: inputs, in the order of the judge's arguments. The protocol provides ``sr`` and ``hr`` (rounded to 8
            bits, border cropped), ``sr_y`` and ``hr_y`` (their luma), ``sr_whole`` and ``hr_whole`` (rounded, with
            border), ``sr_exact`` and ``hr_exact`` (only clamped, with border) and ``scale``; any other name is a key
            of the batch: ``lr``, or an annotation such as ``landmarks``.
        headline: shown in curves, epoch lines and the tables of trainings and sweeps; otherwise only in evaluations
            and files.
        perceptual: measures appearance rather than signal fidelity. The first such measure of a protocol selects the
            best weights and the worst pictures.
        description: a short definition.
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
            raise ValueError(f"measure {self.name!r}: better must be 'higher' or 'lower', not {self.better!r}")

    @property
    def title(self) -> str:
        """Heading of a curve: label, unit and direction."""
        return f"{self.label}{f' in {self.unit}' if self.unit else ''}, {self.better} is better"

    def text(self, value: float, unit: bool = False) -> str:
        """Format a value for tables."""
        return f"{value:{self.format}}{f' {self.unit}' if unit and self.unit else ''}"

    def cost(self, value: float) -> float:
        """Return the value with its sign chosen so that lower is better."""
        return value if self.better == "lower" else -value


def headlines(measures: Iterable[Measure]) -> list[Measure]:
    """Return the measures that are shown in summaries."""
    return [measure for measure in measures if measure.headline]


def ranking(measures: Sequence[Measure]) -> Measure:
    """Return the measure that ranks weights and pictures: the first perceptual one, else the first."""
    return next((measure for measure in measures if measure.perceptual), measures[0])


def to_json(measures: Iterable[Measure]) -> dict[str, dict[str, Any]]:
    """Return the declarations by name, for summary.json; later readers may not have the user's package installed."""
    return {measure.name: asdict(measure) for measure in measures}


def from_json(declared: Mapping[str, Mapping[str, Any]]) -> list[Measure]:
    """Read the output of `to_json`; keys of newer versions are ignored."""
    known = {field.name for field in fields(Measure)}
    kept = [{key: value for key, value in each.items() if key in known} for each in declared.values()]
    return [Measure(**{**each, "needs": tuple(each.get("needs", ()))}) for each in kept]
