"""An evaluation: measures of systems on sets of images, their costs, and the table of both."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from facehall.evaluation.columns import Row, cells, columns_of, heading, text_table
from facehall.evaluation.results import ImageResult, Measures, SetResult
from facehall.metrics import Measure, Protocol

WIDTH = 80
"""Width of the text in characters; fits every terminal."""
MEAN = "mean"
"""Name of the rows averaged over all sets."""


@dataclass(frozen=True)
class ComparedSystem:
    """A system in the table: its label, weights or name, backend, and the measures used as its training losses."""

    name: str
    origin: str = ""
    backend: str = "eager"
    trained_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Measures of systems on sets of images, and the systems' costs.

    Attributes:
        systems: the rows, bicubic first.
        protocol: defines the measures.
        sets: one or more; a set may lack systems that do not apply to it.
        costs: per system, for the stated input and device.
        fidelity: mixing factor with the weights of the PSNR phase; None: weights not mixed.
    """

    systems: Sequence[ComparedSystem]
    protocol: Protocol
    sets: Sequence[SetResult]
    costs: Mapping[str, Any]
    fidelity: float | None = None

    @property
    def images(self) -> list[ImageResult]:
        """The images of all sets."""
        return [image for each in self.sets for image in each.images]

    @property
    def failures(self) -> list[ImageResult]:
        """The failures of all sets."""
        return [image for each in self.sets for image in each.failures]

    @property
    def names(self) -> list[str]:
        """The systems' labels."""
        return [system.name for system in self.systems]

    @property
    def measures(self) -> dict[str, Measure]:
        """The declarations of the measures by name."""
        return {measure.name: measure for measure in self.protocol.measures}

    @property
    def trained_on(self) -> dict[str, tuple[str, ...]]:
        """The measures used as training losses, by system."""
        return {system.name: system.trained_on for system in self.systems}

    def means(self, system: str, which: int | None = None) -> Measures:
        """Return a system's measures on one set, or their unweighted mean over all sets."""
        if which is not None:
            return self.sets[which].means(system, self.protocol)
        figures = [each.means(system, self.protocol) for each in self.sets]
        return {name: fmean(each[name] for each in figures) for name in figures[0]}

    def rows(self) -> list[Row]:
        """Return the table rows: bicubic, then the other systems; set by set, then the mean of several sets.

        The mean is that of the systems measured on all sets.
        """
        if len(self.sets) == 1:
            return [{"method": name, **self.means(name), **self.costs[name]} for name in self.names]
        rows = [
            {"set": each.name, "method": name, **self.means(name, index), **self.costs[name]}
            for index, each in enumerate(self.sets)
            for name in self.names
            if name in each.names
        ]
        everywhere = [name for name in self.names if all(name in each.names for each in self.sets)]
        return rows + [{"set": MEAN, "method": name, **self.means(name), **self.costs[name]} for name in everywhere]

    def text(self) -> str:
        """Return the table for a terminal or text file, with notes on the protocol and costs."""
        wrapped = [line for note in self.notes() for line in textwrap.wrap(note, WIDTH)]
        rows, measures = self.rows(), self.measures
        columns = columns_of(rows)
        headings = [heading(name, measures) for name in columns]
        table = text_table(headings, columns, cells(rows, columns, measures, self.trained_on), 4 * WIDTH)
        return "\n".join([*self._heading(), "", table, "", *wrapped])

    def notes(self) -> list[str]:
        """Return the notes below the table: sets, protocol, input of the costs, measures used as losses."""
        notes = [f"{self._counts()}; {self.protocol.description}.", self._costs_note()]
        marked = [m.label for m in self.protocol.measures if any(m.name in each.trained_on for each in self.systems)]
        if marked:
            notes.append(f"* {' and '.join(marked)}: used as a training loss of that system, so not independent.")
        return notes

    def _heading(self) -> list[str]:
        mixed = "" if self.fidelity is None else f", fidelity {self.fidelity}"
        others = [system for system in self.systems if system.origin]
        if len(others) == 1:
            return [others[0].origin + mixed]
        return [f"{system.name}: {system.origin}{mixed}" for system in others if system.name != system.origin]

    def _counts(self) -> str:
        if len(self.sets) == 1:
            return _images(len(self.sets[0].images))
        return ", ".join(f"{each.name}: {_images(len(each.images))}" for each in self.sets) + "; mean of the sets"

    def _costs_note(self) -> str:
        others = sorted({system.backend for system in self.systems if system.origin} - {"eager"})
        backend = f", backend {' and '.join(others)}" if others else ""
        interleaved = "both" if len(self.systems) == 2 else "all"
        where = f"on {self.costs['device']}{backend}"
        slow = self.costs.get("timed_once", ())
        once = f" ({', '.join(slow)}: a single pass)" if slow else ""
        return (
            f"GMACs and ms for an input of {self.costs['input']} pixels, {where}; {interleaved} timed in turn, "
            f"medians{once}."
        )


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
