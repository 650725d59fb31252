"""Run folders: where a training writes, and how earlier runs are found."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from facehall.distributed.ranks import broadcast_text
from facehall.errors import FacehallError

RUNS = Path("runs")
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"
PREVIOUS = "previous.ckpt"  # backup beside it
SUMMARY = "summary.json"  # present once a run is finished


def run_folder(name: str, resume: str | None) -> str:
    """Return a new folder runs/NAME/TIME, or that of the run to resume; the same on all processes of a training."""
    if resume in ("last", "auto"):
        earlier = _run_to_resume(resume, name)
        if earlier is not None:
            return str(earlier)
    elif resume is not None and Path(resume).exists():  # checkpoint_to_resume reports a wrong path
        return str(run_of_checkpoint(Path(resume)))
    return broadcast_text("run_dir", str(RUNS / name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")))


def _run_to_resume(resume: str, name: str) -> Path | None:
    """Resolve `last` and `auto`: the newest run of that name; for `auto`, only if it is unfinished.

    The result is the same on all processes of a training, even while other trainings run.
    """
    earlier = earlier_runs(name)
    none = not earlier or (resume == "auto" and (earlier[-1] / SUMMARY).is_file())
    found = broadcast_text(f"run_to_resume_{resume}", "" if none else str(earlier[-1]))
    return Path(found) if found else None


def earlier_runs(name: str) -> list[Path]:
    """Return the run folders of `name` with a checkpoint, oldest first."""
    checkpoints = [_newest_checkpoint(path) for path in (RUNS / name).glob(f"*/{LAST_CHECKPOINT.parent}")]
    found = [path for path in checkpoints if path.is_file()]
    return [path.parents[1] for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def _newest_checkpoint(folder: Path) -> Path:
    """Return last.ckpt, or previous.ckpt if only that is left."""
    last, previous = folder / LAST_CHECKPOINT.name, folder / PREVIOUS
    return previous if previous.is_file() and not last.exists() else last


def run_of_checkpoint(path: Path) -> Path:
    """Return the run folder of a checkpoint file, or the given folder itself."""
    return path.parents[1] if path.suffix == ".ckpt" else path


def display_path(path: Path) -> Path:
    """Return a path for messages: relative if it lies below the current folder, else absolute."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def resume_hint(run: Path) -> str:
    """Return the message on how to resume a stopped run."""
    default = display_path(run).parts[:-2] == RUNS.parts
    return f"To resume, run the same command with resume={'last' if default else display_path(run)}."


def checkpoint_to_resume(resume: str | None, name: str) -> Path | None:
    """Return the checkpoint that `resume` (last, auto, a run folder or a .ckpt file) selects; None for a fresh start.

    `last` is the newest run of that name; `auto` is the same if it is unfinished, else a fresh start.

    Raises:
        FacehallError: no such checkpoint.
    """
    if resume is None:
        return None
    if resume in ("last", "auto"):
        earlier = _run_to_resume(resume, name)
        if earlier is None and resume == "last":
            raise FacehallError(
                f"resume=last: {RUNS / name} contains no run with a checkpoint. Start without resume or with "
                "resume=auto, or give resume=RUN_FOLDER."
            )
        return None if earlier is None else _newest_checkpoint(earlier / LAST_CHECKPOINT.parent)
    path = Path(resume)
    checkpoint = path if path.suffix == ".ckpt" else _newest_checkpoint(path / LAST_CHECKPOINT.parent)
    if not checkpoint.is_file():
        raise FacehallError(
            f"resume={resume}: {checkpoint} does not exist. Give resume=last, a run folder with {LAST_CHECKPOINT}, or "
            "a .ckpt file."
        )
    return checkpoint
