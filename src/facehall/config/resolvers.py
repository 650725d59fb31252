"""OmegaConf resolvers: the functions used in the YAML files of conf/."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from facehall.config.build import build
from facehall.io import machine
from facehall.training.runs import run_folder

OPTUNA_DIRECTIONS = {"higher": "maximize", "lower": "minimize"}


def register_resolvers() -> None:
    """Register all resolvers; repeated calls are harmless. The run folder is cached: one folder per process."""
    OmegaConf.register_new_resolver("facehall.times", lambda a, b: a * b, replace=True)
    OmegaConf.register_new_resolver("facehall.run_dir", run_folder, use_cache=True, replace=True)
    for function in (machine.default_jobs, machine.threads_per_job, machine.gpus_per_job):
        OmegaConf.register_new_resolver(f"facehall.{function.__name__}", function, replace=True)
    OmegaConf.register_new_resolver("facehall.directions", _directions, replace=True)


def _directions(measures: str | Sequence[str], *, _root_: DictConfig) -> list[str]:
    """Return each measure's Optuna direction, including custom measures in metrics.measures."""
    from facehall.metrics.judges import JUDGES, Judge  # not above: imports torch, which only searches need here

    names = [measures] if isinstance(measures, str) else list(measures)
    known = {name: judge.measure for name, judge in JUDGES.items()}
    if any(name not in known for name in names):
        nodes = OmegaConf.select(_root_, "metrics.measures") or []
        judges = [
            build(node, "metrics.measures") for node in nodes if isinstance(node, DictConfig) and "_target_" in node
        ]
        known |= {judge.measure.name: judge.measure for judge in judges if isinstance(judge, Judge)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"search.objective: unknown measure {unknown[0]!r}; choose from {', '.join(known)}")
    return [OPTUNA_DIRECTIONS[known[name].better] for name in names]
