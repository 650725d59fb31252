"""curves.png: the headline measures by epoch, with bicubic as the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facehall.io.atomic import replacing
from facehall.metrics.measures import Measure, headlines

PHASE_SHADES = ("#f3e3d3", "#dfe9f3", "#e3f0df", "#efe0f0")
"""Background colours of the phases after the first."""


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path, measures: Sequence[Measure]) -> None:
    """Draw a run's history atomically, one panel per headline measure, the phases after the first shaded.

    Args:
        rows: as in metrics.csv, with val/NAME and val/bicubic_NAME of each measure.
        path: a .png.
        measures: the protocol's measures; those that no row has are omitted.
    """
    panels = [measure for measure in headlines(measures) if any(f"val/{measure.name}" in row for row in rows)]
    if not panels:
        return
    width, height = 4.6 * len(panels), 3.6
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    # Fixed margins in inches: layout engines take longer than everything else.
    figure.subplots_adjust(0.55 / width, 0.5 / height, 1 - 0.15 / width, 1 - 0.35 / height, wspace=0.2)
    for axes, measure in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        name = measure.name
        shown = [row for row in rows if f"val/{name}" in row]
        epochs = [row["epoch"] for row in shown]
        phases = list(dict.fromkeys(row["phase"] for row in shown))
        for number, phase in enumerate(phases[1:]):
            inside = [row["epoch"] for row in shown if row["phase"] == phase]
            shade = PHASE_SHADES[number % len(PHASE_SHADES)]
            label = f"{phase.upper() if len(phase) < 5 else phase} phase"
            axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color=shade, lw=0, label=label)
        axes.plot(
            epochs,
            [row[f"val/{name}"] for row in shown],
            color="#1f4e79",
            marker=".",
            lw=1.6,
            label="facehall",
        )
        bicubic = [row[f"val/bicubic_{name}"] for row in shown]
        axes.plot(epochs, bicubic, color="#8c8c8c", ls="--", lw=1.2, label="bicubic")
        axes.set(xlabel="epoch", title=measure.title)
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(facecolor="white", edgecolor="none", framealpha=1, fontsize=8)  # also over shaded phases
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
