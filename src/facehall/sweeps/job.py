"""One job of a sweep: a training in a process of its own, so that a crash of one is not another's."""

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
"""Set in the environment of a job; its standard input ends when the sweep is no more."""

GRACE = 60.0  # seconds for a job that is interrupted to write its checkpoint


def run_job(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """What Hydra's launchers call for each job, in whatever process and on whatever machine.

    The training runs as the command that a person would give for it alone. Its output is written to log.txt in the
    job's folder, and the reason of a failure to error.txt. A job that an earlier start of the same sweep finished is
    not run again; an interrupted one resumes from its checkpoint. The sweep's table is rewritten after each job.

    Returns:
        the measures that `search.objective` names, at the end of the last phase. None without a search, and for a job
        that failed: Optuna then counts the trial as failed.
    """
    register_resolvers()
    hydra = HydraConfig.get()
    asked = Path(hydra.runtime.output_dir)
    overrides = [item for item in hydra.overrides.task if not re.match(r"\+*(sweep|search)[.=]", item)]
    folder, record = claim_folder(asked, overrides)
    if folder != asked:
        with suppress(OSError):
            asked.rmdir()  # Hydra's, and empty
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
    """Run the training; failure_reason it failed in one line, or nothing."""
    jobs, threads = OmegaConf.select(cfg, "sweep.jobs"), OmegaConf.select(cfg, "sweep.threads")
    arguments = [*overrides, "trainer.enable_progress_bar=false", f"hydra.run.dir={folder}"]
    environment = {
        **os.environ,
        SWEEP_JOB_VARIABLE: "1",
        "PYTHONUNBUFFERED": "1",  # a job that is killed has written what it said
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
                start_new_session=True,  # Ctrl-C reaches it once, through us
            )
        )
    if status == 0 and (folder / SUMMARY).is_file():
        return ""
    said = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    error = failure_reason(status, said)
    alone = shlex.join(["python", *command[1:]])
    tail = "\n".join(said.splitlines()[-60:])
    write_text(folder / ERROR, f"{error}\n\nAlone, this job is run by\n  {alone}\n\nThe end of {LOG}:\n{tail}\n")
    return error.splitlines()[0]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status; whatever interrupts the waiting interrupts the job, which has a while to save itself."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # not SIGINT, which is ignored below nohup and some launchers
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
    """--config-name and --config-dir of the sweep's own command."""
    hydra = HydraConfig.get()
    flags = [] if hydra.job.config_name in (None, "train") else ["--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            flags += ["--config-dir", source.path]
    return flags


def failure_reason(status: int, said: str) -> str:
    """Why a job failed: the paragraph for its user, its exception, or the signal that ended it.

    Args:
        status: of the process.
        said: its output.
    """
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if status in (USER_ERROR, PEER_LOST) and (paragraph := said.rpartition("\nfacehall: ")[2].strip()):
        return paragraph
    lines = said.rpartition("Traceback (most recent call last):")[2].splitlines()
    exceptions = [line for line in lines if re.match(r"[\w.]+(:|$)", line)]
    return exceptions[0] if "Traceback" in said and exceptions else f"ended with status {status}"


def _outcome(folder: Path, error: str, seconds: float) -> str:
    if error:
        return f"failed: {error} ({folder / ERROR})"
    summary = read_summary(folder)
    found, declared = final_measures(summary), headlines(declared_measures(summary))
    values = "  ".join(f"{each.label} {found[each.name]:.4f}" for each in declared if each.name in found)
    return f"finished in {seconds / 60:.1f} minutes  {values}"


def _objective(folder: Path, names: Any, finished: bool) -> float | tuple[float, ...] | None:
    """What a search is told; nothing of a job that failed, which Optuna then counts as such."""
    if not finished:
        return None
    names = [names] if isinstance(names, str) else list(names)
    measures = final_measures(read_summary(folder))
    missing = [name for name in names if name not in measures]
    if missing:
        raise FacehallError(f"search.objective: the validation measures no {missing[0]}, but {', '.join(measures)}.")
    values = tuple(float(measures[name]) for name in names)
    return values if len(values) > 1 else values[0]
