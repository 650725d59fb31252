"""Training the systems of the catalogue by their recipes, for some minutes or steps; interrupted ones continue."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from facehall.config.resolvers import register_resolvers
from facehall.errors import FacehallError
from facehall.io.atomic import write_text
from facehall.io.conf import conf_dir
from facehall.io.logs import say
from facehall.sweeps.process import run_training
from facehall.sweeps.record import Record, read_record, read_summary, write_record
from facehall.training.callbacks.step_times import STEP_TIMES, StepTimes
from facehall.training.runs import LAST_CHECKPOINT, display_path

PLAN = "plan.json"
TRIAL = "trial"
"""Sub-folder of a run folder: the short training that measures the time of a step; removed afterwards."""
TRIAL_STEPS = 12
"""Steps of each phase in the trial."""


@dataclass(frozen=True)
class Plan:
    """How a run is trained; written before it starts, and unchanged when it continues.

    Attributes:
        recipe: the experiment in conf/experiment.
        settings: further KEY=VALUE of facehall.train.
        minutes: time budget of the training loop; None: none.
        total_steps: asked-for steps of all phases together; None, and without a budget: the length of the recipe.
        step_seconds: phase -> measured seconds of a step; empty without a budget.
        epoch_end: measured seconds of an epoch's end.
        steps: phase -> planned steps; empty for the length of the recipe.
        overrides: KEY=VALUE that set those steps.
    """

    recipe: str
    settings: list[str]
    minutes: float | None = None
    total_steps: int | None = None
    step_seconds: dict[str, float] = field(default_factory=dict)
    epoch_end: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)


def train_recipe(
    run: Path,
    recipe: str,
    scale: int,
    settings: Sequence[str] = (),
    minutes: float | None = None,
    steps: int | None = None,
) -> str:
    """Train by a recipe in a run folder, or continue there, in a process of its own.

    With a budget, a short trial in the run folder first measures the time of a step in each phase and of an epoch's
    end; the phases are then lengthened or shortened alike, so that their schedules end at the budget. The budget counts
    the training loop with validation, not the start of the process.

    Args:
        run: the run folder.
        recipe: the experiment in conf/experiment.
        scale: s.
        settings: further KEY=VALUE of facehall.train, such as ``data.root=DIR``.
        minutes: the budget.
        steps: the steps of all phases together, shared as in the recipe; without both, the length of the recipe.

    Returns:
        the reason of a failure in one line; empty if the training finished.

    Raises:
        FacehallError: the run was begun with other settings, or the recipe does not compose with these.
    """
    run.mkdir(parents=True, exist_ok=True)
    chosen = [*settings, f"scale={scale}"]
    plan = _read_plan(run)
    asked = Plan(recipe, chosen, minutes, steps)
    if plan is not None and _asked(plan) != _asked(asked):
        raise FacehallError(
            f"{display_path(run)} was begun with {_describe(plan)}, not with {_describe(asked)}. Continue with the "
            "same settings, or remove that folder."
        )
    if plan is None:
        plan = asked
        if minutes is not None:
            plan, error = _measured(run, plan)
            if error:
                return error
        elif steps is not None:
            plan = fit_to_steps(plan, _composed(plan))
        write_text(run / PLAN, json.dumps(asdict(plan), indent=1) + "\n")
    arguments = [f"experiment={recipe}", *plan.settings, *plan.overrides, f"hydra.run.dir={run}"]
    if (run / LAST_CHECKPOINT).is_file():
        arguments.append(f"resume={run}")
    say(f"training {run.name}: {_describe(plan)}; log: {display_path(run)}/log.txt")
    return _recorded(run, arguments)


def _recorded(run: Path, arguments: list[str]) -> str:
    """Run the training; keep its status and time in job.json: its loop, and the whole process of interrupted starts."""
    earlier = read_record(run) or Record(arguments)
    record = replace(earlier, overrides=arguments, status="running", error="", process=os.getpid())
    write_record(run, record)
    started = time.monotonic()
    try:
        error = run_training([*arguments, "trainer.enable_progress_bar=false"], run)
        record = replace(record, status="failed" if error else "finished", error=error.partition("\n")[0])
    except BaseException:
        record = replace(record, status="interrupted")
        raise
    finally:
        elapsed = time.monotonic() - started
        if record.status == "finished":
            elapsed = read_summary(run).get("seconds", elapsed)
        write_record(run, replace(record, seconds=round(earlier.seconds + elapsed, 1)))
    return record.error


def _measured(run: Path, plan: Plan) -> tuple[Plan, str]:
    """Measure the time of a step, and return the plan that fits the budget, or the reason of a failed trial."""
    cfg = _composed(plan)
    trial = run / TRIAL
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir()
    timer = f"{{_target_:{StepTimes.__module__}.{StepTimes.__qualname__},folder:'${{run_dir}}'}}"
    short = [
        f"training.steps_per_phase={TRIAL_STEPS}",
        f"patches.steps_per_epoch={TRIAL_STEPS * cfg.training.accumulate}",
        f"+callbacks.step_times={timer}",
        *("logger=none", "test=false", "trainer.enable_progress_bar=false"),
    ]
    say(f"training {run.name}: measuring {TRIAL_STEPS} steps of each phase for a budget of {plan.minutes:g} minutes")
    error = run_training([f"experiment={plan.recipe}", *plan.settings, *short, f"hydra.run.dir={trial}"], trial)
    if error:
        return plan, f"its trial of {TRIAL_STEPS} steps: {error.partition(chr(10))[0]}"
    times = json.loads((trial / STEP_TIMES).read_text(encoding="utf-8"))
    shutil.rmtree(trial)
    return fit_to_budget(plan, cfg, times["phases"], times["epoch_end"]), ""


def fit_to_budget(plan: Plan, cfg: DictConfig, step_seconds: Mapping[str, float], epoch_end: float) -> Plan:
    """Return the plan with the phases' steps, warm-ups, ramps and fades scaled alike, so that the budget is used up.

    Args:
        plan: with a budget.
        cfg: the composed training.
        step_seconds: phase -> seconds of a step.
        epoch_end: seconds of an epoch's end.

    Raises:
        FacehallError: the budget is too short for a step of each phase.
    """
    assert plan.minutes is not None
    slowest = max(step_seconds.values())  # for phases too short to be measured
    step_seconds = {str(name): step_seconds.get(str(name), slowest) for name in cfg.curriculum}
    recipe = _recipe_steps(cfg)
    per_epoch = cfg.patches.steps_per_epoch / cfg.training.accumulate
    predicted = sum(count * (step_seconds[name] + epoch_end / per_epoch) for name, count in recipe.items())
    plan = _scaled(plan, cfg, 60 * plan.minutes / predicted + 1e-9)  # so that rounding does not cost a step
    if not all(plan.steps.values()):
        raise FacehallError(
            f"train.minutes={plan.minutes:g} is too short for {plan.recipe}: a step takes up to "
            f"{slowest:.2g} s, and every phase needs one."
        )
    times = {name: step_seconds[name] for name in plan.steps}
    return replace(plan, step_seconds=times, epoch_end=epoch_end)


def fit_to_steps(plan: Plan, cfg: DictConfig) -> Plan:
    """Return the plan with the phases scaled alike to the asked-for number of steps in all.

    Raises:
        FacehallError: there are fewer steps than phases need.
    """
    assert plan.total_steps is not None
    plan = _scaled(plan, cfg, plan.total_steps / sum(_recipe_steps(cfg).values()) + 1e-9)
    if not all(plan.steps.values()):
        raise FacehallError(f"train.steps={plan.total_steps} is too few for {plan.recipe}: every phase needs one.")
    return plan


def _recipe_steps(cfg: DictConfig) -> dict[str, int]:
    """Return the steps of the phases that have any."""
    phases = {str(name): node for name, node in cfg.curriculum.items() if OmegaConf.is_dict(node)}
    return {name: int(node.steps) for name, node in phases.items() if node.steps}


def _scaled(plan: Plan, cfg: DictConfig, share: float) -> Plan:
    """Return the plan with the steps, warm-ups, ramps and fades of all phases multiplied by a share."""
    steps = {name: math.floor(share * count) for name, count in _recipe_steps(cfg).items()}
    overrides = []
    for name, count in steps.items():
        overrides.append(f"curriculum.{name}.steps={count}")
        phase = cfg.curriculum[name]
        lengths = {key: phase.get(key) for key in ("warmup", "ramp", "fade") if phase.get(key)}
        overrides += [f"curriculum.{name}.{key}={math.floor(share * length)}" for key, length in lengths.items()]
    total = sum(steps.values())
    epochs = max(1, round(total * cfg.training.accumulate / cfg.patches.steps_per_epoch))
    # Trainings end with an epoch: this length makes the last one end with the last phase, to fewer than `epochs` steps.
    overrides.append(f"patches.steps_per_epoch={math.ceil(total / epochs) * cfg.training.accumulate}")
    return replace(plan, steps=steps, overrides=overrides)


def _asked(plan: Plan) -> tuple[object, ...]:
    return plan.recipe, plan.settings, plan.minutes, plan.total_steps


def _composed(plan: Plan) -> DictConfig:
    """Compose the training, within or outside a running Hydra command."""
    register_resolvers()
    overrides = [f"experiment={plan.recipe}", *plan.settings]
    if GlobalHydra.instance().is_initialized():
        return compose("train", overrides=overrides)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", overrides=overrides)


def _read_plan(run: Path) -> Plan | None:
    try:
        given: Any = json.loads((run / PLAN).read_text(encoding="utf-8"))
        return Plan(**given)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise FacehallError(f"{run / PLAN} cannot be read ({error}). Remove the folder {run} to train anew.") from None


def _describe(plan: Plan) -> str:
    settings = " ".join([f"experiment={plan.recipe}", *plan.settings])
    if plan.total_steps is not None:
        return f"{settings}, {plan.total_steps} steps"
    if plan.minutes is None:
        return f"{settings}, the length of the recipe"
    text = f"{settings}, {plan.minutes:g} minutes"
    if plan.steps:
        steps = ", then ".join(f"{n} {name} at {plan.step_seconds[name]:.3g} s" for name, n in plan.steps.items())
        text += f" ({steps}, measured)"
    return text
