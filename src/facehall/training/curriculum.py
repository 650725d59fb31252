"""The curriculum: named phases, one after the other in one run, counted in steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

RampShape = Literal["linear", "cosine"]
NETWORKS = ("generator", "discriminator")


@dataclass(frozen=True)
class Phase:
    """One phase of a training.

    Args:
        name: as in the config; the history, the summary and the weights files use it.
        steps: its length. A phase of 0 steps trains nothing, but the next one's ramp still starts from its weights.
        weights: of the generator's loss terms, by name; 0 or absent switches a term off.
        discriminator_weights: of the discriminator's loss terms; None weighs each of them 1.
        trains: which networks take steps, of ``generator`` and ``discriminator``.
        warmup: first steps of the phase in which the generator still has the weights of the phase before, so that a
            discriminator that has learned nothing yet does not mislead it.
        ramp: steps after the warm-up over which the weights move from those of the phase before to `weights`.
        ramp_shape: ``linear`` or ``cosine``.
        scale: active scale: the generator is trained up to this scale of its pyramid only; None takes all.
        optimizer: network -> settings of its optimizer in this phase other than the rate, such as ``betas``.
        scheduler: network -> settings of its phased schedule in this phase (`facehall.training.schedulers`).
    """

    name: str
    steps: int
    weights: Mapping[str, float]
    discriminator_weights: Mapping[str, float] | None = None
    trains: Sequence[str] = ("generator",)
    warmup: int = 0
    ramp: int = 0
    ramp_shape: RampShape = "linear"
    scale: int | None = None
    optimizer: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scheduler: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = f"curriculum.{self.name}"
        for name in ("steps", "warmup", "ramp"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{key}.{name} is a number of steps, 0 or more, not {value!r}")
        if self.steps and self.warmup + self.ramp > self.steps:
            raise ValueError(f"{key}: warmup={self.warmup} and ramp={self.ramp} do not fit into steps={self.steps}")
        if self.ramp_shape not in get_args(RampShape):
            raise ValueError(f"{key}.ramp_shape is {' or '.join(get_args(RampShape))}, not {self.ramp_shape!r}")
        if not self.trains or not set(self.trains) <= set(NETWORKS):
            raise ValueError(f"{key}.trains lists generator, discriminator or both, not {list(self.trains)}")
        for group in ("optimizer", "scheduler"):
            if not set(getattr(self, group) or {}) <= set(NETWORKS):
                raise ValueError(f"{key}.{group} has settings for generator and discriminator, no others")
        if any("lr" in (settings or {}) for settings in (self.optimizer or {}).values()):
            raise ValueError(f"{key}.optimizer sets no lr: scale the rate with {key}.scheduler.NETWORK.factor")
        for weights in (self.weights, self.discriminator_weights or {}):
            for term, weight in weights.items():
                if not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
                    raise ValueError(f"{key}: the weight of {term} is a number, 0 or more, not {weight!r}")

    def share(self, step: int) -> float:
        """How far the ramp has come at step `step` of this phase: 0 before its first step, 1 after its last."""
        done = step - self.warmup + 1
        if done <= 0:
            return 0.0
        if done >= self.ramp:
            return 1.0
        linear = done / self.ramp
        return linear if self.ramp_shape == "linear" else (1 - math.cos(math.pi * linear)) / 2


@dataclass(frozen=True)
class PhaseSchedule:
    """What a learning-rate schedule needs to know of a phase: its length and its settings."""

    name: str
    steps: int
    settings: Mapping[str, Any]


class Curriculum:
    """Phases in their order, with a ramp from the weights of one to those of the next.

    Args:
        phases: at least one of them has steps; names are unique.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.phases = tuple(phases)
        if not self.total_steps:
            raise ValueError("curriculum: no phase has any steps; set curriculum.PHASE.steps")

    @property
    def total_steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def trained(self) -> tuple[Phase, ...]:
        """The phases that have steps."""
        return tuple(phase for phase in self.phases if phase.steps)

    def steps(self, name: str) -> int:
        """The length of a phase by name; 0 where there is none of that name."""
        return next((phase.steps for phase in self.phases if phase.name == name), 0)

    def at(self, step: int) -> Phase:
        """The phase of step `step`, counted from 0; past the end the last one."""
        return self._locate(step)[0]

    def phase(self, step: int) -> str:
        """The name of the phase of step `step`."""
        return self.at(step).name

    def end(self, name: str) -> int:
        """The number of steps from the start to the end of a phase."""
        ends, total = {}, 0
        for phase in self.phases:
            total += phase.steps
            ends[phase.name] = total
        return ends[name]

    def weights(self, step: int) -> dict[str, float]:
        """The weights of the generator's loss terms at step `step`: (1 - share) of the last phase's, share of this."""
        phase, within = self._locate(step)
        return blend(self._before(phase).weights, phase.weights, phase.share(within))

    def extremes(self, phase: Phase) -> list[dict[str, float]]:
        """The weights at the first and at the last step of a phase, between which all others lie."""
        first = self.end(phase.name) - phase.steps
        return [self.weights(first), self.weights(first + phase.steps - 1)]

    def schedule(self, network: str) -> list[PhaseSchedule]:
        """The phases in which a network takes steps, for its learning-rate schedule."""
        return [
            PhaseSchedule(phase.name, phase.steps, dict((phase.scheduler or {}).get(network) or {}))
            for phase in self.trained
            if network in phase.trains
        ]

    def without(self, terms: Collection[str]) -> Curriculum:
        """The same without the weights of some loss terms."""
        return Curriculum(
            [
                replace(phase, weights={name: w for name, w in phase.weights.items() if name not in terms})
                for phase in self.phases
            ]
        )

    def limited(self, limit: int | Sequence[int] | None) -> Curriculum:
        """A shorter curriculum to try things out, without warm-ups and with ramps of one step.

        Args:
            limit: most steps of each phase, or of the last phases (of earlier ones, the first number); None: as it is.
        """
        if limit is None:
            return self
        limits = [limit] if isinstance(limit, int) else list(limit)
        limits = [limits[0]] * max(0, len(self.phases) - len(limits)) + limits[-len(self.phases) :]
        return Curriculum(
            [
                replace(phase, steps=min(phase.steps, most), warmup=0, ramp=min(phase.ramp, 1, most))
                for phase, most in zip(self.phases, limits, strict=True)
            ]
        )

    def _locate(self, step: int) -> tuple[Phase, int]:
        start = 0
        for phase in self.trained:
            if step < start + phase.steps:
                return phase, step - start
            start += phase.steps
        last = self.trained[-1]
        return last, step - (start - last.steps)

    def _before(self, phase: Phase) -> Phase:
        """The phase before, also one of 0 steps; of the first one itself."""
        return self.phases[max(0, self.phases.index(phase) - 1)]


def blend(start: Mapping[str, float], end: Mapping[str, float], share: float) -> dict[str, float]:
    """(1 - share) of one set of weights and `share` of another, term by term; absent ones are 0."""
    names = dict.fromkeys([*start, *end])
    return {name: (1 - share) * start.get(name, 0.0) + share * end.get(name, 0.0) for name in names}


def build_curriculum(**phases: Mapping[str, Any] | None) -> Curriculum:
    """A curriculum out of a config: phase name -> the settings of `Phase`, in their order; null leaves a phase out.

    Raises:
        ValueError: an unknown or impossible setting; the message names the key.
    """
    known = [f.name for f in fields(Phase) if f.name != "name"]
    built = []
    for name, settings in phases.items():
        if settings is None:
            continue
        if unknown := set(settings) - set(known):
            raise ValueError(f"curriculum.{name} has no {min(unknown)}; a phase has {', '.join(known)}")
        if missing := {"steps", "weights"} - set(settings):
            raise ValueError(f"curriculum.{name}.{max(missing)} is missing")
        built.append(Phase(name, **{key: value for key, value in settings.items() if value is not None}))
    return Curriculum(built)
