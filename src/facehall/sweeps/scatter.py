"""sweep.png: a perceptual measure against a fidelity measure, one point per job, labelled by its overrides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facehall.imaging.charts import place_labels
from facehall.io.atomic import replacing
from facehall.sweeps.table import Job, baselines, final_measures, phase_keys, scatter_axes, varied_keys

COLOURS = ("#1f4e79", "#b3541e", "#3d7a3d", "#6b4c8f")
MAX_LABEL_LENGTH = 44  # characters
MAX_FULL_LABELS = 24  # with more jobs, only those on the front are labelled by overrides, the others by number

FIRST_PHASE_LABEL = "job, at the end of its first phase"

Point = tuple[float, float]


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other point dominates.

    Args:
        points: (x, y); higher x and lower y are better.

    Returns:
        indices in order of increasing x.
    """

    def dominated(point: Point) -> bool:
        return any(other[0] >= point[0] and other[1] <= point[1] and other != point for other in points)

    front = [index for index, point in enumerate(points) if not dominated(point)]
    return sorted(front, key=lambda index: points[index])


def draw_scatter(jobs: Sequence[Job], path: Path) -> bool:
    """Draw the finished jobs at the end of their last phase, bicubic and the Pareto front; writes atomically.

    Jobs with another baseline (another scale or validation set) have their own colour and front. A small ring marks a
    job at the end of its first phase.

    Returns:
        whether anything was drawn, which requires jobs with a fidelity and a perceptual measure; the first of each is
        used.
    """
    chosen = scatter_axes(jobs)
    if chosen is None:
        return False
    x, y = chosen
    groups = []
    for baseline in baselines(jobs):
        drawn = [job for job in baseline.jobs if {x.name, y.name} <= final_measures(job.summary).keys()]
        if drawn and y.name in baseline.measures:
            groups.append((baseline, drawn))
    if not groups:
        return False
    figure = Figure(figsize=(8.2, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    labels: list[tuple[Point, str, str]] = []
    crowded = sum(len(drawn) for _, drawn in groups) > MAX_FULL_LABELS
    for number, (baseline, drawn) in enumerate(groups):
        ink = COLOURS[number % len(COLOURS)]
        bicubic = (baseline.measures[x.name], baseline.measures[y.name])
        axes.plot(*bicubic, marker="X", ms=9, color="#7a7a7a", ls="none", label="" if number else "bicubic")
        labels.append((bicubic, baseline.label, "#5c5c5c"))
        points = []
        for job in drawn:
            ends = [(job.summary[end][x.name], job.summary[end][y.name]) for end in phase_keys(job.summary)]
            points.append(ends[-1])
            if len(ends) > 1:
                xs, ys = zip(ends[0], ends[-1], strict=True)
                axes.plot(xs, ys, color=ink, lw=0.6, alpha=0.35, zorder=1)
                (ring,) = axes.plot(*ends[0], "o", ms=4, mfc="white", mec=ink, alpha=0.6, zorder=2)
                ring.set_label(
                    "" if axes.get_legend_handles_labels()[1].count(FIRST_PHASE_LABEL) else FIRST_PHASE_LABEL
                )
        front = pareto_front([(-x.cost(a), y.cost(b)) for a, b in points])
        axes.plot(*zip(*points, strict=True), "o", color=ink, ms=6, zorder=3, label="" if number else "job, at its end")
        axes.plot(
            *zip(*(points[index] for index in front), strict=True),
            color=ink,
            lw=1.4,
            ls="--",
            zorder=2,
            label="" if number else "Pareto front",
        )
        for index, job in enumerate(drawn):
            whole = not crowded or index in front
            labels.append((points[index], _label(job, jobs) if whole else job.name, ink))
    axes.set(xlabel=x.title, ylabel=y.title)
    axes.set_title("/".join(path.parent.parts[-2:]) + ": validation", fontsize=10)
    axes.margins(0.16, 0.12)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    place_labels(figure, axes, labels)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    return True


def _label(job: Job, jobs: Sequence[Job]) -> str:
    """Return the overrides that distinguish the job, with the last part of each key; else its number."""
    parts = [f"{key.rpartition('.')[2]}={job.overrides[key]}" for key in varied_keys(jobs) if key in job.overrides]
    text = " ".join(parts) or f"job {job.name}"
    return text if len(text) <= MAX_LABEL_LENGTH else f"{job.name}: {text[: MAX_LABEL_LENGTH - len(job.name) - 3]}…"
