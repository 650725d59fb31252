"""A job of a sweep: one training in its own process, so that a crash does not affect the other jobs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facehall.config.resolvers import register_resolvers
from facehall.errors import FacehallError
from facehall.io.logs import say
from facehall.io.machine import exclusive_gpu
from facehall.metrics.measures import headlines
from facehall.sweeps.process import ERROR, run_training
from facehall.sweeps.record import SUMMARY, claim_folder, declared_measures, read_summary, write_record
from facehall.sweeps.report import write_report
from facehall.sweeps.table import final_measures
from facehall.training.runs import LAST_CHECKPOINT


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
        "WANDB_RUN_GROUP": "-".join(folder.parent.parts[-2:]),
        "WANDB_NAME": f"{cfg.name}-{folder.name}",
    }
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
        if cfg.runtime.threads is None:
            arguments.append(f"runtime.threads={threads}")
    if (folder / LAST_CHECKPOINT).is_file() and cfg.resume is None:
        arguments.append(f"resume={folder}")
    with exclusive_gpu(folder.parent, jobs or 1) as gpu:
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        error = run_training([*_config_flags(), *arguments], folder, environment, Path(HydraConfig.get().runtime.cwd))
    return error.partition("\n")[0]


def _config_flags() -> list[str]:
    """Return --config-name and --config-dir of the sweep's command."""
    hydra = HydraConfig.get()
    flags = [] if hydra.job.config_name in (None, "train") else ["--config-name", hydra.job.config_name]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            flags += ["--config-dir", source.path]
    return flags


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
