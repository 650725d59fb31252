"""Run folders: where a training writes, and how an earlier one is found again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from facehall.errors import FacehallError
from facehall.sweeps import resources

RUNS = Path("runs")
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"
WEIGHTS = Path("weights")
BETTER = {"lpips": "minimize"} | dict.fromkeys(("psnr", "ssim", "psnr_y", "ssim_y"), "maximize")


def register_resolvers() -> None:
    """What conf/ may ask for: the run folder (cached, so that one process sees one folder), products, shares."""
    OmegaConf.register_new_resolver("facehall.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("facehall.run_dir", _run_dir, use_cache=True, replace=True)
    for share in (resources.jobs_at_once, resources.threads_a_job, resources.gpus_a_job):
        OmegaConf.register_new_resolver(f"facehall.{share.__name__}", share, replace=True)
    OmegaConf.register_new_resolver("facehall.directions", _directions, replace=True)


def _run_dir(name: str, resume: str | None) -> str:
    """A new folder runs/NAME/TIME, or that of the run to be resumed."""
    if resume == "last":
        earlier = earlier_runs(name)
        if earlier:
            return str(earlier[-1])
    elif resume is not None and Path(resume).exists():  # a wrong path is complained of later, with its checkpoint
        return str(run_of_checkpoint(Path(resume)))
    return str(RUNS / name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))


def _directions(measures: str | Sequence[str]) -> list[str]:
    """Which way each measure is better, in Optuna's words."""
    names = [measures] if isinstance(measures, str) else list(measures)
    if unknown := [name for name in names if name not in BETTER]:
        raise ValueError(f"there is no measure {unknown[0]!r}, but {', '.join(BETTER)}")
    return [BETTER[name] for name in names]


def earlier_runs(name: str) -> list[Path]:
    """The run folders of `name` that hold a checkpoint, oldest first."""
    folder = RUNS / name
    found = [path.parents[1] for path in folder.glob(f"*/{LAST_CHECKPOINT}")]
    return sorted(found, key=lambda run: (run / LAST_CHECKPOINT).stat().st_mtime)


def run_of_checkpoint(path: Path) -> Path:
    """The run folder of a checkpoint file, or the folder itself."""
    return path.parents[1] if path.suffix == ".ckpt" else path


def shown(path: Path) -> Path:
    """A path as a person would type it: relative where it lies below the current folder."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def checkpoint_to_resume(resume: str | None, name: str) -> Path | None:
    """The checkpoint that `resume` (last, a run folder or a .ckpt file) means; None for a fresh start.

    Raises:
        FacehallError: there is none.
    """
    if resume is None:
        return None
    if resume == "last":
        earlier = earlier_runs(name)
        if not earlier:
            raise FacehallError(
                f"resume=last: {RUNS / name} holds no run with a checkpoint, so there is nothing to resume. "
                "Start without resume, or give resume=RUN_FOLDER."
            )
        return earlier[-1] / LAST_CHECKPOINT
    path = Path(resume)
    checkpoint = path if path.suffix == ".ckpt" else path / LAST_CHECKPOINT
    if not checkpoint.is_file():
        raise FacehallError(
            f"resume={resume}: {checkpoint} does not exist. Give resume=last, a run folder that holds "
            f"{LAST_CHECKPOINT}, or a .ckpt file."
        )
    return checkpoint
