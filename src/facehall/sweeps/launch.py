"""The main process of a sweep, around Hydra's launchers: signals, the table and the exit status."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from facehall.io.logs import say
from facehall.sweeps.report import write_report
from facehall.sweeps.table import Job, read_jobs
from facehall.training.runs import display_path

MAX_EXIT_STATUS = 101  # for more than 100 failed jobs; GNU parallel's convention


class SweepFolder(Callback):
    """Hydra callback that records the sweep's folder before the first job starts.

    Attributes:
        current: the folder of this process's sweep; None before one starts.
    """

    current: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SweepFolder.current = Path(str(config.hydra.sweep.dir)).absolute()
        SweepFolder.current.mkdir(parents=True, exist_ok=True)  # a search stores its study there


def run_sweep(multirun: Callable[[], object]) -> None:
    """Run Hydra's multirun, write the table however it ends, and report failed jobs.

    Raises:
        SystemExit: the status is the number of failed jobs, 101 for more than 100.
        KeyboardInterrupt: the sweep was interrupted, also by SIGTERM; the table has been written.
    """
    SweepFolder.current = None
    _export_visible_gpus()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    jobs: list[Job] = []
    try:
        multirun()
    except ValueError as error:
        if "No trials are completed" not in str(error):  # Optuna's error if every job failed, which is reported below
            raise
    finally:
        if SweepFolder.current is not None and (jobs := read_jobs(SweepFolder.current)):
            write_report(SweepFolder.current)
            say(outcome_text(SweepFolder.current, jobs))
    if failed := [job for job in jobs if job.record.status == "failed"]:
        errors = dict.fromkeys(job.record.error for job in failed)
        reasons = "".join(f"\n  {error}" for error in errors)
        print(f"\nfacehall: {len(failed)} of {len(jobs)} jobs failed:{reasons}", file=sys.stderr)
        raise SystemExit(min(len(failed), MAX_EXIT_STATUS))


def _export_visible_gpus() -> None:
    """Set CUDA_VISIBLE_DEVICES to this machine's GPUs, so that all processes of the sweep see them without torch."""
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        import torch

        if count := torch.cuda.device_count():
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(count)))


def outcome_text(sweep: Path, jobs: list[Job]) -> str:
    """Return a summary: how the jobs ended, where the table is, and how to resume."""
    counts = {status: sum(job.record.status == status for job in jobs) for status in ("finished", "failed")}
    open_jobs = len(jobs) - sum(counts.values())
    text = f"\n{counts['finished']} jobs finished, {counts['failed']} failed"
    text += f", {open_jobs} not finished" if open_jobs else ""
    text += f". The table is in {display_path(sweep)}: sweep.md, sweep.csv, sweep.png."
    if open_jobs or counts["failed"]:
        text += (
            f"\nTo resume, run the same command with hydra.sweep.dir={display_path(sweep)}; "
            "each failed job's error.txt gives the reason and the command to run it alone."
        )
    return text


def terminate_with_sweep() -> None:
    """In a job of a sweep: send SIGTERM to this process when the sweep's process is gone."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held at interpreter exit
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
