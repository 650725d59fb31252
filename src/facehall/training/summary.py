"""The first and last lines of a training, and summary.json."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from facehall import __version__
from facehall.data import PatchDataModule, SampleSource
from facehall.io.machine import cores
from facehall.metrics import count_parameters
from facehall.training.callbacks import BestWeights, History
from facehall.training.callbacks.history import Row
from facehall.training.run import Training
from facehall.training.runs import shown

PAPERS_SET = (
    "These are a dozen sample photographs out of installed packages, to see the method at work. The paper's set is "
    "DIV2K (data=div2k data.root=DIR); your own pictures: data=folder data.root=DIR."
)


def opening_lines(training: Training, checkpoint: Path | None) -> str:
    """What is about to be trained, on what, how long."""
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
        "run folder": str(shown(training.run_dir)),
    }
    if training.init is not None:
        parts["starts from"] = training.init
    if checkpoint is not None:
        parts["resumed from"] = str(shown(checkpoint))
    for choice in training.performance:
        parts[choice.name.rpartition(".")[2].replace("_", " ")] = f"{choice.value} ({choice.reason})"
    width = max(map(len, parts))
    lines = [f"facehall {__version__}: {training.name}, x{module.generator.scale}"]
    lines += [f"  {key:<{width}}  {value}" for key, value in parts.items()]
    lines += training.datamodule.survey.report().splitlines()
    if type(training.datamodule) is PatchDataModule and isinstance(training.datamodule.source, SampleSource):
        lines.append(PAPERS_SET)
    return "\n".join(lines)


def _steps(training: Training) -> str:
    curriculum, epochs = training.module.curriculum, training.trainer.max_epochs or 0
    steps = ", then ".join(f"{phase.steps} {phase.name}" for phase in curriculum.trained)
    trained = epochs * training.datamodule.steps_per_epoch // training.module.accumulate
    if 0 < trained != curriculum.total_steps:
        steps += f"; {trained} in all, to the end of epoch {epochs}"
    return steps


def _network(network: torch.nn.Module | None) -> str:
    return "none" if network is None else f"{type(network).__name__}, {count_parameters(network):,} parameters"


def summarise(training: Training, seconds: float) -> dict[str, Any]:
    """The numbers of a finished training: the last row of each phase beside bicubic, and how they came about."""
    module = training.module
    history = next((c for c in training.trainer.callbacks if isinstance(c, History)), None)  # type: ignore[attr-defined]
    rows = [row for row in (history.rows if history else []) if "val/psnr" in row]
    summary: dict[str, Any] = {
        "name": training.name,
        "scale": module.generator.scale,
        "steps": module.generator_step,
        "seconds": round(seconds, 1),
        "parameters": count_parameters(module.generator),
        "protocol": module.protocol.description,
        "facehall": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {cores()} cores"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
    }
    summary["runtime"] = {choice.name: choice.value for choice in training.performance}
    if rows:
        summary["bicubic"] = _measures(rows[-1], "val/bicubic_")
        for phase in dict.fromkeys(row["phase"] for row in rows):
            of_phase = [row for row in rows if row["phase"] == phase]
            if of_phase:
                summary[f"end_of_{phase}_phase"] = {
                    "step": of_phase[-1]["step"],
                    **_measures(of_phase[-1], "val/"),
                }
    best = next((c.best for c in training.trainer.callbacks if isinstance(c, BestWeights)), None)  # type: ignore[attr-defined]
    if best is not None:
        summary["best"] = {name: round(value, 5) for name, value in best.items()}
    return summary


def _measures(row: Row, prefix: str) -> dict[str, float]:
    names = ("psnr", "ssim", "psnr_y", "ssim_y", "lpips")
    return {name: round(float(row[prefix + name]), 5) for name in names if prefix + name in row}


def closing_lines(run_dir: Path, summary: dict[str, Any]) -> str:
    """Where things are, and what to run next."""
    lines = [f"\nDone in {summary['seconds'] / 60:.1f} minutes."]
    bicubic = summary.get("bicubic", {})
    columns = [name for name in ("psnr", "ssim", "lpips") if name in bicubic]
    if bicubic:
        lines.append(f"  {'validation':<18}" + "".join(f"{name.upper():>9}" for name in columns))
        for key in ("bicubic", "end_of_psnr_phase", "end_of_gan_phase", "best"):
            if key in summary:
                values = "".join(f"{summary[key][name]:9.4f}" for name in columns)
                title = f"best, epoch {summary[key]['epoch']}" if key == "best" else key.replace("_", " ")
                lines.append(f"  {title:<18}{values}")
    run_dir = shown(run_dir)
    weights = run_dir / "weights" / "generator_ema.safetensors"
    lines += [
        f"The run is in {run_dir}: look at samples.png and curves.png; summary.json and metrics.csv hold the numbers.",
        "Next:",
        f"  python -m facehall.evaluate weights={weights}",
        f"  python -m facehall.predict weights={weights} input=PHOTO_OR_FOLDER output=FOLDER",
    ]
    return "\n".join(lines)
