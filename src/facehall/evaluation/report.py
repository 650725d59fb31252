"""Evaluation report: the table as text, CSV and JSON, and comparison sheets."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from facehall.evaluation.results import ImageResult, Measures, SetResult
from facehall.imaging import comparison_sheet, write_picture
from facehall.io.atomic import write_text
from facehall.metrics import Measure, Protocol

WIDTH = 80
"""Width of the text in characters; fits every terminal."""
MEAN = "mean"
"""Name of the rows averaged over all sets."""

# Heading and format of each column that is not a measure. CSV and JSON hold unrounded values.
_COLUMNS = {
    "set": ("", "{}"),
    "method": ("", "{}"),
    "parameters": ("parameters", "{:,}"),
    "gmacs": ("GMACs", "{:.2f}"),
    "ms_per_image": ("ms", "{:.2f}"),
    "peak_mib": ("MiB", "{:.0f}"),
}

Row = dict[str, Any]


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
        sets: one or more.
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

    def means(self, system: str, which: int | None = None) -> Measures:
        """Return a system's measures on one set, or their unweighted mean over all sets."""
        if which is not None:
            return self.sets[which].means(system, self.protocol)
        figures = [each.means(system, self.protocol) for each in self.sets]
        return {name: fmean(each[name] for each in figures) for name in figures[0]}

    def rows(self) -> list[Row]:
        """Return the table rows: bicubic, then the other systems; set by set, then the mean of several sets."""
        if len(self.sets) == 1:
            return [{"method": name, **self.means(name), **self.costs[name]} for name in self.names]
        groups = [*((each.name, index) for index, each in enumerate(self.sets)), (MEAN, None)]
        return [
            {"set": title, "method": name, **self.means(name, index), **self.costs[name]}
            for title, index in groups
            for name in self.names
        ]

    def text(self) -> str:
        """Return the table for a terminal or text file, with notes on the protocol and costs."""
        marked = [m.label for m in self.protocol.measures if any(m.name in each.trained_on for each in self.systems)]
        notes = [f"{self._counts()}; {self.protocol.description}.", self._costs_note()]
        if marked:
            notes.append(f"* {' and '.join(marked)}: used as a training loss of that system, so not independent.")
        wrapped = [line for note in notes for line in textwrap.wrap(note, WIDTH)]
        return "\n".join([*self._heading(), "", self._table(), "", *wrapped])

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
        return (
            f"GMACs and ms for an input of {self.costs['input']} pixels, {where}; {interleaved} timed in turn, medians."
        )

    def _table(self) -> str:
        measures = {measure.name: measure for measure in self.protocol.measures}
        trained_on = {system.name: system.trained_on for system in self.systems}
        rows = self.rows()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        # Without a box: plain ASCII survives every pipe.
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in columns:
            heading = measures[name].label if name in measures else _COLUMNS[name][0]
            left = name in ("set", "method")
            table.add_column(heading, justify="left" if left else "right", no_wrap=True)
        previous = None
        for row in rows:
            cells = [_cell(name, row.get(name), measures, trained_on[row["method"]]) for name in columns]
            if "set" in row:
                cells[0] = "" if row["set"] == previous else cells[0]
                previous = row["set"]
            table.add_row(*cells)
        buffer = io.StringIO()
        Console(file=buffer, width=4 * WIDTH, color_system=None).print(table)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _cell(name: str, value: Any, measures: Mapping[str, Measure], trained_on: Sequence[str]) -> str:
    if value is None:
        return ""
    if name in measures:
        return measures[name].text(value) + ("*" if name in trained_on else "")
    return _COLUMNS[name][1].format(value)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write table.txt, table.csv, table.json, images.csv and, if pictures were kept, comparison.png and worst.png.

    With several sets, each set's sheets are in a folder of its name. In table.json non-finite values (the PSNR of
    identical images) are null, as JSON has no infinity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, several = evaluation.rows(), len(evaluation.sets) > 1
    per_image = [
        {**({"set": each.name} if several else {}), "name": image.name, "method": name, **image.measures[name]}
        for each in evaluation.sets
        for image in each.images
        for name in evaluation.names
    ]
    write_text(folder / "table.txt", evaluation.text() + "\n")
    write_text(folder / "table.csv", _csv(rows))
    write_text(folder / "images.csv", _csv(per_image))
    write_text(folder / "table.json", json.dumps(_document(evaluation, rows), indent=2, allow_nan=False) + "\n")
    for each in evaluation.sets:
        where = folder / each.name if several else folder
        _write_sheet(where / "comparison.png", each.images, evaluation)
        _write_sheet(where / "worst.png", each.failures, evaluation)


def _document(evaluation: Evaluation, rows: list[Row]) -> dict[str, Any]:
    others = [system for system in evaluation.systems if system.origin]
    return {
        "weights": others[0].origin if len(others) == 1 else [system.origin for system in others],
        "fidelity": evaluation.fidelity,
        "backend": others[0].backend if len({system.backend for system in others}) == 1 else "several",
        "protocol": evaluation.protocol.description,
        "images": len(evaluation.images),
        "sets": {each.name: len(each.images) for each in evaluation.sets},
        "systems": [
            {
                "method": system.name,
                "weights": system.origin or None,
                "backend": system.backend,
                "trained_on": list(system.trained_on),
            }
            for system in evaluation.systems
        ],
        "input": evaluation.costs["input"],
        "device": evaluation.costs["device"],
        "table": [{key: _finite(value) for key, value in row.items()} for row in rows],
    }


def _write_sheet(path: Path, images: Sequence[ImageResult], evaluation: Evaluation) -> None:
    shown = [image for image in images if image.pictures is not None]
    path.unlink(missing_ok=True)  # left by an earlier evaluation
    if shown:
        captions = [
            [image.name, *(_caption(image.measures[name], evaluation.protocol) for name in evaluation.names), ""]
            for image in shown
        ]
        panels = [image.pictures for image in shown if image.pictures is not None]
        write_picture(path, comparison_sheet(panels, ["LR", *evaluation.names, "HR"], captions))


def _caption(values: Measures, protocol: Protocol) -> str:
    """Return the first measure and the ranking measure of an image."""
    first, ranking = protocol.measures[0], protocol.ranking
    text = first.text(values[first.name], unit=True) if first.unit else f"{first.label} {values[first.name]:.3f}"
    return text if ranking is first else f"{text}, {ranking.label} {values[ranking.name]:.3f}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(rows: list[Row]) -> str:
    buffer = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
