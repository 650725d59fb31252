"""Run folders: where a training writes, and how an earlier one is found again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from facehall.distributed.ranks import agree
from facehall.errors import FacehallError

RUNS = Path("runs")
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"
PREVIOUS = "previous.ckpt"  # beside it: the one before
SUMMARY = "summary.json"  # a run that has one is finished


def run_folder(name: str, resume: str | None) -> str:
    """A new folder runs/NAME/TIME, or that of the run to be resumed; the same on all processes of a training."""
    if resume in ("last", "auto"):
        earlier = _run_to_resume(resume, name)
        if earlier is not None:
            return str(earlier)
    elif resume is not None and Path(resume).exists():  # a wrong path is complained of later, with its checkpoint
        return str(run_of_checkpoint(Path(resume)))
    return agree("run_dir", str(RUNS / name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")))


def _run_to_resume(resume: str, name: str) -> Path | None:
    """What `last` and `auto` mean: the newest run of that name; to `auto`, if it is not finished.

    On all processes of a training the same, also while other trainings go on.
    """
    earlier = earlier_runs(name)
    none = not earlier or (resume == "auto" and (earlier[-1] / SUMMARY).is_file())
    found = agree(f"run_to_resume_{resume}", "" if none else str(earlier[-1]))
    return Path(found) if found else None


def earlier_runs(name: str) -> list[Path]:
    """The run folders of `name` that hold a checkpoint, oldest first."""
    checkpoints = [_newest_checkpoint(path) for path in (RUNS / name).glob(f"*/{LAST_CHECKPOINT.parent}")]
    found = [path for path in checkpoints if path.is_file()]
    return [path.parents[1] for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def _newest_checkpoint(folder: Path) -> Path:
    """last.ckpt, or previous.ckpt where only that is left."""
    last, previous = folder / LAST_CHECKPOINT.name, folder / PREVIOUS
    return previous if previous.is_file() and not last.exists() else last


def run_of_checkpoint(path: Path) -> Path:
    """The run folder of a checkpoint file, or the folder itself."""
    return path.parents[1] if path.suffix == ".ckpt" else path


def shown(path: Path) -> Path:
    """A path as a person would type it: relative where it lies below the current folder."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def how_to_resume(run: Path) -> str:
    """The line that says how to go on with a run that was stopped."""
    usual = shown(run).parts[:-2] == RUNS.parts
    return f"The same command with resume={'last' if usual else shown(run)} goes on from there."


def checkpoint_to_resume(resume: str | None, name: str) -> Path | None:
    """The checkpoint that `resume` (last, auto, a run folder or a .ckpt file) means; None for a fresh start.

    `last` is the newest run of that name; `auto` is the same where it is not finished, and a fresh start otherwise.

    Raises:
        FacehallError: there is none.
    """
    if resume is None:
        return None
    if resume in ("last", "auto"):
        earlier = _run_to_resume(resume, name)
        if earlier is None and resume == "last":
            raise FacehallError(
                f"resume=last: {RUNS / name} holds no run with a checkpoint, so there is nothing to resume. "
                "Start without resume, with resume=auto, or give resume=RUN_FOLDER."
            )
        return None if earlier is None else _newest_checkpoint(earlier / LAST_CHECKPOINT.parent)
    path = Path(resume)
    checkpoint = path if path.suffix == ".ckpt" else _newest_checkpoint(path / LAST_CHECKPOINT.parent)
    if not checkpoint.is_file():
        raise FacehallError(
            f"resume={resume}: {checkpoint} does not exist. Give resume=last, a run folder that holds "
            f"{LAST_CHECKPOINT}, or a .ckpt file."
        )
    return checkpoint
