"""OmegaConf resolvers: what the YAML files of conf/ compute."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from facehall.config.build import build
from facehall.io import machine
from facehall.metrics import Judge
from facehall.metrics.judges import JUDGES
from facehall.training.runs import run_folder

WORDS = {"higher": "maximize", "lower": "minimize"}


def register_resolvers() -> None:
    """Register them all; calling it again changes nothing. The run folder is cached: one process, one folder."""
    OmegaConf.register_new_resolver("facehall.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("facehall.run_dir", run_folder, use_cache=True, replace=True)
    for share in (machine.jobs_at_once, machine.threads_a_job, machine.gpus_a_job):
        OmegaConf.register_new_resolver(f"facehall.{share.__name__}", share, replace=True)
    OmegaConf.register_new_resolver("facehall.directions", _directions, replace=True)


def _directions(measures: str | Sequence[str], *, _root_: DictConfig) -> list[str]:
    """Which way each measure is better, in Optuna's words; also of those that metrics.measures brings from outside."""
    names = [measures] if isinstance(measures, str) else list(measures)
    known = {name: judge.measure for name, judge in JUDGES.items()}
    if any(name not in known for name in names):
        nodes = OmegaConf.select(_root_, "metrics.measures") or []
        judges = [
            build(node, "metrics.measures") for node in nodes if isinstance(node, DictConfig) and "_target_" in node
        ]
        known |= {judge.measure.name: judge.measure for judge in judges if isinstance(judge, Judge)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"search.objective: there is no measure {unknown[0]!r}, but {', '.join(known)}")
    return [WORDS[known[name].better] for name in names]
