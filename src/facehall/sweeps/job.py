"""A job of a sweep: one training in its own process, so that a crash does not affect the other jobs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facehall.config.resolvers import register_resolvers
from facehall.errors import PEER_LOST, USER_ERROR, FacehallError
from facehall.io.atomic import write_text
from facehall.io.logs import say
from facehall.io.machine import exclusive_gpu
from facehall.metrics.measures import headlines
from facehall.sweeps.record import SUMMARY, claim_folder, declared_measures, read_summary, write_record
from facehall.sweeps.report import write_report
from facehall.sweeps.table import final_measures
from facehall.training.runs import LAST_CHECKPOINT

MODULE = "facehall.train"
LOG = "log.txt"
ERROR = "error.txt"
SWEEP_JOB_VARIABLE = "FACEHALL_SWEEP_JOB"
"""Environment variable set in a job's process; the job's standard input closes when the sweep ends."""

GRACE = 60.0  # seconds that an interrupted job gets to write its checkpoint


def run_job(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """Run a job; called by Hydra's launchers, in any process and on any machine.

    The training is started by the command that would run it alone. Its output goes to log.txt in the job's folder, the
    reason of a failure to error.txt. A job already finished by an earlier start of the same sweep is not run again; an
    interrupted one resumes from its checkpoint. The sweep's table is rewritten after each job.

    Returns:
        the measures named by `search.objective`, at the end of the last phase. None without a search, and for a failed
        job, which Optuna then counts as a failed trial.
    """
    register_resolvers()
    hydra = HydraConfig.get()
    requested = Path(hydra.runtime.output_dir)
    overrides = [item for item in hydra.overrides.task if not re.match(r"\+*(sweep|search)[.=]", item)]
    folder, record = claim_folder(requested, overrides)
    if folder != requested:
        with suppress(OSError):
            requested.rmdir()  # created by Hydra, empty
    if record.status != "finished" or not (folder / SUMMARY).is_file():
        record = replace(record, status="running", error="", process=os.getpid())
        write_record(folder, record)
        started = time.monotonic()
        try:
            error = _train(cfg, folder, overrides)
            record = replace(record, status="failed" if error else "finished", error=error)
        except BaseException:
            record = replace(record, status="interrupted")
            raise
        finally:
            record = replace(record, seconds=round(record.seconds + time.monotonic() - started, 1))
            write_record(folder, record)
            write_report(folder.parent)
        say(f"job {folder.name}: {_outcome(folder, record.error, record.seconds)}")
    names = OmegaConf.select(cfg, "search.objective")
    return None if names is None else _objective(folder, names, finished=record.status == "finished")


def _train(cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> str:
    """Run the training; return the reason of a failure in one line, or an empty string."""
    jobs, threads = OmegaConf.select(cfg, "sweep.jobs"), OmegaConf.select(cfg, "sweep.threads")
    arguments = [*overrides, "trainer.enable_progress_bar=false", f"hydra.run.dir={folder}"]
    environment = {
        **os.environ,
        SWEEP_JOB_VARIABLE: "1",
        "PYTHONUNBUFFERED": "1",  # the output of a killed job is not lost
        "WANDB_RUN_GROUP": "-".join(folder.parent.parts[-2:]),
        "WANDB_NAME": f"{cfg.name}-{folder.name}",
    }
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
        if cfg.runtime.threads is None:
            arguments.append(f"runtime.threads={threads}")
    if (folder / LAST_CHECKPOINT).is_file() and cfg.resume is None:
        arguments.append(f"resume={folder}")
    command = [sys.executable, "-m", MODULE, *_config_flags(), *arguments]
    (folder / ERROR).unlink(missing_ok=True)
    with exclusive_gpu(folder.parent, jobs or 1) as gpu, (folder / LOG).open("ab") as log:
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        status = _wait(
            subprocess.Popen(
                command,
                cwd=HydraConfig.get().runtime.cwd,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it only once, through this process
            )
        )
    if status == 0 and (folder / SUMMARY).is_file():
        return ""
    output = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    error = failure_reason(status, output)
    rerun = shlex.join(["python", *command[1:]])
    tail = "\n".join(output.splitlines()[-60:])
    write_text(folder / ERROR, f"{error}\n\nTo run this job alone:\n  {rerun}\n\nThe end of {LOG}:\n{tail}\n")
    return error.splitlines()[0]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the exit status; an interruption also terminates the job, which gets some time to save its state."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # not SIGINT, which is ignored under nohup and some launchers
        try:
            process.wait(GRACE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        raise
    finally:
        if process.stdin is not None:
            process.stdin.close()


def _config_flags() -> list[str]:
    """Return --config-name and --config-dir of the sweep's command."""
    hydra = HydraConfig.get()
    flags = [] if hydra.job.config_name in (None, "train") else ["--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            flags += ["--config-dir", source.path]
    return flags


def failure_reason(status: int, output: str) -> str:
    """Return why a job failed: its error paragraph, its exception, or the signal that ended it.

    Args:
        status: exit status of the process.
        output: its output.
    """
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if status in (USER_ERROR, PEER_LOST) and (paragraph := output.rpartition("\nfacehall: ")[2].strip()):
        return paragraph
    lines = output.rpartition("Traceback (most recent call last):")[2].splitlines()
    exceptions = [line for line in lines if re.match(r"[\w.]+(:|$)", line)]
    return exceptions[0] if "Traceback" in output and exceptions else f"exited with status {status}"


def _outcome(folder: Path, error: str, seconds: float) -> str:
    if error:
        return f"failed: {error} ({folder / ERROR})"
    summary = read_summary(folder)
    found, declared = final_measures(summary), headlines(declared_measures(summary))
    values = "  ".join(f"{each.label} {found[each.name]:.4f}" for each in declared if each.name in found)
    return f"finished in {seconds / 60:.1f} minutes  {values}"


def _objective(folder: Path, names: Any, finished: bool) -> float | tuple[float, ...] | None:
    """Return the values for a search; None for a failed job, which Optuna counts as failed."""
    if not finished:
        return None
    names = [names] if isinstance(names, str) else list(names)
    measures = final_measures(read_summary(folder))
    missing = [name for name in names if name not in measures]
    if missing:
        raise FacehallError(
            f"search.objective: the validation has no measure {missing[0]}; available: {', '.join(measures)}."
        )
    values = tuple(float(measures[name]) for name in names)
    return values if len(values) > 1 else values[0]
