"""Files of a comparison: the table as text, Markdown, CSV and JSON, sheets of crops, and plots."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from facehall.evaluation.columns import cells, columns_of, csv_text, heading, markdown_table, text_table
from facehall.evaluation.comparison import Comparison, document
from facehall.evaluation.crops import crops_sheet
from facehall.evaluation.evaluation import MEAN, WIDTH
from facehall.evaluation.plots import draw_plots
from facehall.evaluation.report import caption, image_rows
from facehall.imaging import write_picture
from facehall.io.atomic import write_text

ROOMY = 160
"""Width of the notes below the wide table, in characters."""


def comparison_text(comparison: Comparison) -> str:
    """Return the table for a terminal or text file, with the systems without weights and notes."""
    columns, headings, lines = _table(comparison)
    wrapped = [line for note in comparison.notes() for line in textwrap.wrap(note, ROOMY)]
    missing = [
        line
        for each in _absent(comparison)
        for line in textwrap.wrap(each, ROOMY, initial_indent="  ", subsequent_indent="    ")
    ]
    table = text_table(headings, columns, lines, 8 * WIDTH)
    return "\n".join([table, "", *(["Without weights:", *missing, ""] if missing else []), *wrapped])


def comparison_markdown(comparison: Comparison, plots: list[str], sheets: list[str]) -> str:
    """Return the same as Markdown, with links to the pictures.

    Args:
        comparison: the results.
        plots, sheets: file names beside the Markdown file.
    """
    columns, headings, lines = _table(comparison)
    absent = _absent(comparison)
    parts = [f"# Systems at x{comparison.scale}", markdown_table(headings, columns, lines)]
    if absent:
        parts.append("\n".join(["Without weights:", "", *(f"- {each}" for each in absent)]))
    parts.append("\n\n".join(note.replace("*", "\\*", 1) if note[0] == "*" else note for note in comparison.notes()))
    parts += [f"![{Path(name).stem.replace('_', ' ')}]({name})" for name in [*plots, *sheets]]
    return "\n\n".join(parts) + "\n"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write table.txt, table.md, table.csv, table.json, images.csv, the plots, and crops_SET.png for each set.

    In table.json non-finite values (the PSNR of identical images) are null, as JSON has no infinity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    evaluation = comparison.evaluation
    plots = draw_plots(comparison, folder)
    sheets = []
    for each in evaluation.sets:
        sheet = crops_sheet(each.images, ["LR", *each.names, "HR"], lambda values: caption(values, evaluation.protocol))
        name = f"crops_{each.name}.png"
        (folder / name).unlink(missing_ok=True)  # left by an earlier comparison
        if sheet is not None:
            write_picture(folder / name, sheet)
            sheets.append(name)
    write_text(folder / "table.txt", comparison_text(comparison) + "\n")
    write_text(folder / "table.md", comparison_markdown(comparison, plots, sheets))
    write_text(folder / "table.csv", csv_text(comparison.rows()))
    write_text(folder / "images.csv", csv_text(image_rows(evaluation)))
    write_text(folder / "table.json", json.dumps(document(comparison), indent=2, allow_nan=False) + "\n")


def _table(comparison: Comparison) -> tuple[list[str], list[str], list[list[str]]]:
    """Return columns, headings and cells; columns that are empty throughout are left out, and so are costs of means."""
    measures = comparison.evaluation.measures
    rows = [
        {key: value for key, value in row.items() if row["set"] != MEAN or key in (*measures, "set", "method", "note")}
        for row in comparison.rows()
    ]
    columns = [name for name in columns_of(rows) if any(row.get(name) is not None for row in rows)]
    headings = [heading(name, measures) for name in columns]
    return columns, headings, cells(rows, columns, measures, comparison.evaluation.trained_on)


def _absent(comparison: Comparison) -> list[str]:
    """Return a line for each system that is not in the table."""
    failed = [f"{name}: its training failed: {reason}" for name, reason in comparison.failures.items()]
    others = [each for each in comparison.missing if each.name not in comparison.failures]
    return failed + [f"{each.name}: {each.advice}" for each in others]
