"""The first and last console lines of a training, and summary.json."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from facehall import __version__
from facehall.data import PatchDataModule, SampleSource
from facehall.io.machine import cores
from facehall.metrics import Measure, count_parameters
from facehall.metrics.measures import from_json, headlines, to_json
from facehall.training.callbacks import BestWeights, History
from facehall.training.run import Training
from facehall.training.runs import display_path

SAMPLE_DATA_NOTE = (
    "The data are a dozen sample photographs from installed packages, to try the method. The paper uses DIV2K "
    "(data=div2k data.root=DIR); for your own pictures: data=folder data.root=DIR."
)


def opening_lines(training: Training, checkpoint: Path | None) -> str:
    """Return the description of a training about to start: networks, losses, data, length, settings."""
    module = training.module
    parts = {
        "generator": _network(module.generator),
        "discriminator": _network(module.discriminator),
        "losses": ", ".join(f"{name}: {module.losses[name].description}" for name in module.losses.names),
        "metrics": module.protocol.description,
        "data": training.datamodule.description,
        "steps": _steps(training),
        "device": f"{training.trainer.accelerator.__class__.__name__.removesuffix('Accelerator')} "
        f"x {training.trainer.num_devices}",
        "run folder": str(display_path(training.run_dir)),
    }
    if training.init is not None:
        parts["starts from"] = training.init
    if checkpoint is not None:
        parts["resumed from"] = str(display_path(checkpoint))
    for choice in training.performance:
        parts[choice.name.rpartition(".")[2].replace("_", " ")] = f"{choice.value} ({choice.reason})"
    width = max(map(len, parts))
    lines = [f"facehall {__version__}: {training.name}, x{module.generator.scale}"]
    lines += [f"  {key:<{width}}  {value}" for key, value in parts.items()]
    lines += training.datamodule.survey.report().splitlines()
    if type(training.datamodule) is PatchDataModule and isinstance(training.datamodule.source, SampleSource):
        lines.append(SAMPLE_DATA_NOTE)
    return "\n".join(lines)


def _steps(training: Training) -> str:
    curriculum, epochs = training.module.curriculum, training.trainer.max_epochs or 0
    steps = ", then ".join(f"{phase.steps} {phase.name}" for phase in curriculum.trained)
    trained = epochs * training.datamodule.steps_per_epoch // training.module.accumulate
    if 0 < trained != curriculum.total_steps:
        steps += f"; {trained} in total, to the end of epoch {epochs}"
    return steps


def _network(network: torch.nn.Module | None) -> str:
    return "none" if network is None else f"{type(network).__name__}, {count_parameters(network):,} parameters"


def summarise(training: Training, seconds: float, test: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the contents of summary.json: the last row of each phase, bicubic, and the run's settings.

    Args:
        training: the finished training.
        seconds: its duration.
        test: measures of the test split as the Trainer logs them (test/…); None without a test.
    """
    module = training.module
    measures = module.protocol.measures
    history = next((c for c in training.trainer.callbacks if isinstance(c, History)), None)  # type: ignore[attr-defined]
    rows = [row for row in (history.rows if history else []) if f"val/{measures[0].name}" in row]
    summary: dict[str, Any] = {
        "name": training.name,
        "scale": module.generator.scale,
        "steps": module.generator_step,
        "seconds": round(seconds, 1),
        "parameters": count_parameters(module.generator),
        "protocol": module.protocol.description,
        "measures": to_json(measures),
        "facehall": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {cores()} cores"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
    }
    summary["runtime"] = {choice.name: choice.value for choice in training.performance}
    if rows:
        summary["bicubic"] = _values(rows[-1], "val/bicubic_", measures)
        ends = {row["phase"]: row for row in rows}
        summary |= {
            f"end_of_{phase}_phase": {"step": row["step"], **_values(row, "val/", measures)}
            for phase, row in ends.items()
        }
    best = next((c.best for c in training.trainer.callbacks if isinstance(c, BestWeights)), None)  # type: ignore[attr-defined]
    if best is not None:
        summary["best"] = {name: round(value, 5) for name, value in best.items()}
    if test is not None:
        summary["test"] = {
            "bicubic": _values(test, "test/bicubic_", measures),
            "generator_ema": _values(test, "test/", measures),
        }
    return summary


def _values(row: Mapping[str, Any], prefix: str, measures: Sequence[Measure]) -> dict[str, float]:
    return {each.name: round(float(row[prefix + each.name]), 5) for each in measures if prefix + each.name in row}


def closing_lines(run_dir: Path, summary: dict[str, Any]) -> str:
    """Return the results, the location of the files and the next commands."""
    lines = [f"\nDone in {summary['seconds'] / 60:.1f} minutes."]
    measures = headlines(from_json(summary.get("measures", {})))
    ends = {key: key.replace("_", " ") for key in summary if key == "bicubic" or key.startswith("end_of_")}
    if "best" in summary:
        ends["best"] = f"best, epoch {summary['best']['epoch']}"
    if "bicubic" in summary:
        lines += _rows("validation", {title: summary[key] for key, title in ends.items()}, measures)
    if "test" in summary:
        lines += _rows("test", {key.replace("_", " "): values for key, values in summary["test"].items()}, measures)
    pictures = " and ".join(name for name in ("samples.png", "curves.png") if (run_dir / name).is_file())
    look = f"look at {pictures}; " if pictures else ""
    run_dir = display_path(run_dir)
    weights = run_dir / "weights" / "generator_ema.safetensors"
    lines += [
        f"The run is in {run_dir}: {look}summary.json and metrics.csv hold the numbers.",
        "Next:",
        f"  python -m facehall.evaluate weights={weights}",
        f"  python -m facehall.predict weights={weights} input=PHOTO_OR_FOLDER output=FOLDER",
    ]
    return "\n".join(lines)


def _rows(heading: str, rows: Mapping[str, Mapping[str, Any]], measures: Sequence[Measure]) -> list[str]:
    """Format a small table: one row per title, one column per measure."""
    widths = {measure.name: max(9, len(measure.label) + 2) for measure in measures}
    first = max(18, *(len(title) + 1 for title in rows))
    lines = [f"  {heading:<{first}}" + "".join(f"{measure.label:>{widths[measure.name]}}" for measure in measures)]
    for title, row in rows.items():
        cells = [f"{row[name]:{width}.4f}" if name in row else " " * width for name, width in widths.items()]
        lines.append(f"  {title:<{first}}{''.join(cells)}".rstrip())
    return lines
