"""Plots of a comparison: PSNR over computing time, and a perceptual measure over PSNR."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facehall.evaluation.comparison import ORIGINS, Comparison
from facehall.evaluation.evaluation import MEAN
from facehall.imaging.charts import place_labels
from facehall.io.atomic import replacing

COLOURS = {"none": "#7a7a7a", "package": "#1f4e79", "authors": "#3d7a3d", "trained": "#b3541e"}
"""Colour of a point by the origin of its weights."""


def draw_plots(comparison: Comparison, folder: Path) -> list[str]:
    """Draw one panel per set: PSNR on Y over time (psnr_over_ms.png), and LPIPS over PSNR (lpips_over_psnr.png).

    The second takes the first perceptual measure, and is left out without one. Files are written atomically.

    Returns:
        the names of the files.
    """
    measures = comparison.evaluation.protocol.measures
    names = [measure.name for measure in measures]
    fidelity = next((name for name in ("psnr_y", "psnr") if name in names), None)
    perceptual = next((measure.name for measure in measures if measure.perceptual), None)
    pairs = {"psnr_over_ms.png": ("ms_per_image", fidelity), "lpips_over_psnr.png": (fidelity, perceptual)}
    drawn = []
    for file, (x, y) in pairs.items():
        (folder / file).unlink(missing_ok=True)
        if x is not None and y is not None:
            _draw(comparison, folder / file, x, y)
            drawn.append(file)
    return drawn


def _draw(comparison: Comparison, path: Path, x: str, y: str) -> None:
    rows = [row for row in comparison.rows() if row["set"] != MEAN]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    figure = Figure(figsize=(6.4 * len(sets), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    titles = {measure.name: measure.title for measure in comparison.evaluation.protocol.measures}
    titles["ms_per_image"] = f"ms for {comparison.evaluation.costs['input']} pixels"
    places = []
    for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        points = _points([row for row in rows if row["set"] == name], x, y)
        for origin, colour in COLOURS.items():
            chosen = [(a, b) for a, b, method in points if comparison.available[method].origin == origin]
            if chosen:
                axes.plot(*zip(*chosen, strict=True), "o", color=colour, ms=6, label=f"weights: {ORIGINS[origin]}")
        if x == "ms_per_image":
            axes.set_xscale("log")
        axes.set(xlabel=titles[x], ylabel=titles[y], title=f"{name}, x{comparison.scale}")
        axes.margins(0.14, 0.12)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        places.append((axes, [((a, b), method, "#333333") for a, b, method in points]))
    handles = {
        label: handle for axes, _ in places for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    for axes, labels in places:  # after all panels are laid out
        place_labels(figure, axes, labels)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _points(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> list[tuple[float, float, str]]:
    """Return (x, y, system) of the rows that have both, finite."""
    found = [(row.get(x), row.get(y), row["method"]) for row in rows]
    return [(a, b, method) for a, b, method in found if a is not None and b is not None and math.isfinite(a + b)]
