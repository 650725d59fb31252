"""Evaluation report: the table as text, CSV and JSON, and comparison sheets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facehall.evaluation.columns import Row, csv_text, finite
from facehall.evaluation.evaluation import Evaluation
from facehall.evaluation.results import ImageResult, Measures
from facehall.imaging import comparison_sheet, write_picture
from facehall.io.atomic import write_text
from facehall.metrics import Protocol


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write table.txt, table.csv, table.json, images.csv and, if pictures were kept, comparison.png and worst.png.

    With several sets, each set's sheets are in a folder of its name. In table.json non-finite values (the PSNR of
    identical images) are null, as JSON has no infinity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, several = evaluation.rows(), len(evaluation.sets) > 1
    write_text(folder / "table.txt", evaluation.text() + "\n")
    write_text(folder / "table.csv", csv_text(rows))
    write_text(folder / "images.csv", csv_text(image_rows(evaluation)))
    write_text(folder / "table.json", json.dumps(_document(evaluation, rows), indent=2, allow_nan=False) + "\n")
    for each in evaluation.sets:
        where = folder / each.name if several else folder
        _write_sheet(where / "comparison.png", each.images, evaluation)
        _write_sheet(where / "worst.png", each.failures, evaluation)


def image_rows(evaluation: Evaluation) -> list[Row]:
    """Return the measures of every image and system, one row each."""
    several = len(evaluation.sets) > 1
    return [
        {**({"set": each.name} if several else {}), "name": image.name, "method": name, **image.measures[name]}
        for each in evaluation.sets
        for image in each.images
        for name in evaluation.names
        if name in image.measures
    ]


def _document(evaluation: Evaluation, rows: list[Row]) -> dict[str, Any]:
    others = [system for system in evaluation.systems if system.origin]
    backends = sorted({system.backend for system in others}) or ["eager"]  # bicubic's, and that of methods by name
    return {
        "weights": others[0].origin if len(others) == 1 else [system.origin for system in others],
        "fidelity": evaluation.fidelity,
        "backend": backends[0] if len(backends) == 1 else "several",
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
        "table": [{key: finite(value) for key, value in row.items()} for row in rows],
    }


def _write_sheet(path: Path, images: Sequence[ImageResult], evaluation: Evaluation) -> None:
    shown = [image for image in images if image.pictures is not None]
    path.unlink(missing_ok=True)  # left by an earlier evaluation
    if shown:
        captions = [
            [image.name, *(caption(image.measures[name], evaluation.protocol) for name in evaluation.names), ""]
            for image in shown
        ]
        panels = [image.pictures for image in shown if image.pictures is not None]
        write_picture(path, comparison_sheet(panels, ["LR", *evaluation.names, "HR"], captions))


def caption(values: Measures, protocol: Protocol) -> str:
    """Return the first measure and the ranking measure of an image."""
    first, ranking = protocol.measures[0], protocol.ranking
    text = first.text(values[first.name], unit=True) if first.unit else f"{first.label} {values[first.name]:.3f}"
    return text if ranking is first else f"{text}, {ranking.label} {values[ranking.name]:.3f}"
