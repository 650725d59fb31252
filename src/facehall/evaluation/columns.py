"""Tables of results: headings and formats of the columns, as plain text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from facehall.metrics import Measure

Row = dict[str, Any]

COLUMNS = {
    "set": ("", "{}"),
    "method": ("", "{}"),
    "parameters": ("parameters", "{:,}"),
    "gmacs": ("GMACs", "{:.2f}"),
    "ms_per_image": ("ms", "{:.2f}"),
    "peak_mib": ("MiB", "{:.0f}"),
    "training_minutes": ("training, min", "{:.1f}"),
    "training_steps": ("steps", "{:,}"),
    "weights": ("weights", "{}"),
    "published": ("published", "{}"),
    "note": ("note", "{}"),
}
"""Heading and format of each column that is not a measure. CSV and JSON hold unrounded values."""
TEXT_COLUMNS = ("set", "method", "weights", "published", "note")
"""Columns of text, aligned to the left."""


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the columns of a table, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def heading(name: str, measures: Mapping[str, Measure]) -> str:
    """Return the heading of a column."""
    return measures[name].label if name in measures else COLUMNS[name][0]


def cell(name: str, value: Any, measures: Mapping[str, Measure], trained_on: Sequence[str] = ()) -> str:
    """Format a value; `*` marks a measure that was a training loss. None gives an empty cell."""
    if value is None:
        return ""
    if name in measures:
        return measures[name].text(value) + ("*" if name in trained_on else "")
    return COLUMNS[name][1].format(value)


def cells(
    rows: Sequence[Row],
    columns: Sequence[str],
    measures: Mapping[str, Measure],
    trained_on: Mapping[str, Sequence[str]],
) -> list[list[str]]:
    """Format all cells; the name of a set stands only in its first row.

    Args:
        rows: with a key `method`.
        columns: those to show.
        measures: the declarations by name.
        trained_on: method -> measures used as its training losses.
    """
    found, previous = [], None
    for row in rows:
        line = [cell(name, row.get(name), measures, trained_on.get(row["method"], ())) for name in columns]
        if "set" in columns:
            line[columns.index("set")] = "" if row["set"] == previous else str(row["set"])
            previous = row["set"]
        found.append(line)
    return found


def text_table(headings: Sequence[str], columns: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> str:
    """Lay out a table as plain text, without a box: plain ASCII survives every pipe."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, title in zip(columns, headings, strict=True):
        table.add_column(title, justify="left" if name in TEXT_COLUMNS else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, markup=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def markdown_table(headings: Sequence[str], columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lay out a table as Markdown."""
    rules = ["---" if name in TEXT_COLUMNS else "--:" for name in columns]
    escaped = [[text.replace("|", "\\|") for text in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rules, *escaped])


def csv_text(rows: Sequence[Row]) -> str:
    """Return the rows as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def finite(value: Any) -> Any:
    """Return None for non-finite numbers (the PSNR of identical images), as JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
