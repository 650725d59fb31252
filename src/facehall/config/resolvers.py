"""OmegaConf resolvers: what the YAML files of conf/ compute."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import OmegaConf

from facehall.io import machine
from facehall.training.runs import run_folder

BETTER = {"lpips": "minimize"} | dict.fromkeys(("psnr", "ssim", "psnr_y", "ssim_y"), "maximize")


def register_resolvers() -> None:
    """Register them all; calling it again changes nothing. The run folder is cached: one process, one folder."""
    OmegaConf.register_new_resolver("facehall.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("facehall.run_dir", run_folder, use_cache=True, replace=True)
    for share in (machine.jobs_at_once, machine.threads_a_job, machine.gpus_a_job):
        OmegaConf.register_new_resolver(f"facehall.{share.__name__}", share, replace=True)
    OmegaConf.register_new_resolver("facehall.directions", _directions, replace=True)


def _directions(measures: str | Sequence[str]) -> list[str]:
    """Which way each measure is better, in Optuna's words."""
    names = [measures] if isinstance(measures, str) else list(measures)
    if unknown := [name for name in names if name not in BETTER]:
        raise ValueError(f"there is no measure {unknown[0]!r}, but {', '.join(BETTER)}")
    return [BETTER[name] for name in names]
