"""The curriculum: a sequence of named training phases in one run, measured in steps."""

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
        name: as in the config; also used in the history, the summary and the weights files.
        steps: length. A phase of 0 steps trains nothing, but the next phase's ramp still starts from its weights.
        weights: weights of the generator's loss terms, by name; 0 or absent disables a term.
        discriminator_weights: weights of the discriminator's loss terms; None weights each by 1.
        trains: networks that take steps: ``generator``, ``discriminator``.
        warmup: first steps of the phase, with the loss weights of the previous phase, so that an untrained
            discriminator does not mislead the generator.
        ramp: steps after the warm-up over which the loss weights move from the previous phase's to `weights`.
        ramp_shape: ``linear`` or ``cosine``.
        scale: active scale: the generator is trained only up to this scale of its pyramid; None trains all.
        fade: first steps of the phase in which the active scale fades in, linearly, in a progressive network
            (`Generator.fades_in`).
        part: the only part of the generator to be trained (`Generator.parts`); None trains all.
        optimizer: network -> optimizer settings in this phase, such as ``betas``, except the learning rate.
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
    fade: int = 0
    part: str | None = None
    optimizer: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scheduler: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = f"curriculum.{self.name}"
        for name in ("steps", "warmup", "ramp", "fade"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{key}.{name} must be a number of steps, 0 or more, not {value!r}")
        if self.steps and self.warmup + self.ramp > self.steps:
            raise ValueError(f"{key}: warmup={self.warmup} and ramp={self.ramp} do not fit into steps={self.steps}")
        if self.steps and self.fade > self.steps:
            raise ValueError(f"{key}: fade={self.fade} does not fit into steps={self.steps}")
        if self.ramp_shape not in get_args(RampShape):
            raise ValueError(f"{key}.ramp_shape must be {' or '.join(get_args(RampShape))}, not {self.ramp_shape!r}")
        if not self.trains or not set(self.trains) <= set(NETWORKS):
            raise ValueError(f"{key}.trains must list generator, discriminator or both, not {list(self.trains)}")
        for group in ("optimizer", "scheduler"):
            if not set(getattr(self, group) or {}) <= set(NETWORKS):
                raise ValueError(f"{key}.{group} accepts only the keys generator and discriminator")
        if any("lr" in (settings or {}) for settings in (self.optimizer or {}).values()):
            raise ValueError(f"{key}.optimizer cannot set lr: scale it with {key}.scheduler.NETWORK.factor")
        for weights in (self.weights, self.discriminator_weights or {}):
            for term, weight in weights.items():
                if not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
                    raise ValueError(f"{key}: the weight of {term} must be a number, 0 or more, not {weight!r}")

    def fade_progress(self, step: int) -> float:
        """Return the share of the active scale at step `step` of this phase: 0 at the first step, 1 after `fade`."""
        return min(1.0, step / self.fade) if self.fade else 1.0

    def ramp_progress(self, step: int) -> float:
        """Return the ramp's progress at step `step` of this phase: 0 before its first step, 1 after its last."""
        done = step - self.warmup + 1
        if done <= 0:
            return 0.0
        if done >= self.ramp:
            return 1.0
        linear = done / self.ramp
        return linear if self.ramp_shape == "linear" else (1 - math.cos(math.pi * linear)) / 2


@dataclass(frozen=True)
class PhaseSchedule:
    """What a learning-rate schedule needs of a phase: its length and settings."""

    name: str
    steps: int
    settings: Mapping[str, Any]


class Curriculum:
    """Phases in order, with a ramp of the loss weights from one to the next.

    Args:
        phases: with unique names; at least one has steps.
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
        """Phases with at least one step."""
        return tuple(phase for phase in self.phases if phase.steps)

    def steps(self, name: str) -> int:
        """Return the length of a phase by name, 0 if there is no such phase."""
        return next((phase.steps for phase in self.phases if phase.name == name), 0)

    def at(self, step: int) -> Phase:
        """Return the phase of step `step`, counted from 0; past the end, the last phase."""
        return self._locate(step)[0]

    def phase(self, step: int) -> str:
        """Return the name of the phase of step `step`."""
        return self.at(step).name

    def end(self, name: str) -> int:
        """Return the number of steps from the start of the training to the end of a phase."""
        ends, total = {}, 0
        for phase in self.phases:
            total += phase.steps
            ends[phase.name] = total
        return ends[name]

    def weights(self, step: int) -> dict[str, float]:
        """Return the generator's loss weights at step `step`: the previous phase's and this one's, blended."""
        phase, within = self._locate(step)
        return blend(self._previous(phase).weights, phase.weights, phase.ramp_progress(within))

    def fade(self, step: int) -> float:
        """Return the share of the active scale in its own output at step `step`."""
        phase, within = self._locate(step)
        return phase.fade_progress(within)

    def extremes(self, phase: Phase) -> list[dict[str, float]]:
        """Return the loss weights at the first and last step of a phase; all others lie in between."""
        first = self.end(phase.name) - phase.steps
        return [self.weights(first), self.weights(first + phase.steps - 1)]

    def schedule(self, network: str) -> list[PhaseSchedule]:
        """Return the phases in which a network takes steps, for its learning-rate schedule."""
        return [
            PhaseSchedule(phase.name, phase.steps, dict((phase.scheduler or {}).get(network) or {}))
            for phase in self.trained
            if network in phase.trains
        ]

    def without(self, terms: Collection[str]) -> Curriculum:
        """Return a copy without the weights of some loss terms."""
        return Curriculum(
            [
                replace(phase, weights={name: w for name, w in phase.weights.items() if name not in terms})
                for phase in self.phases
            ]
        )

    def limited(self, limit: int | Sequence[int] | None) -> Curriculum:
        """Return a shortened curriculum for trial runs, without warm-ups and with ramps of at most one step.

        Args:
            limit: maximum steps of each phase, or a list for the last phases, whose first number also holds for
                earlier ones; None for no limit.
        """
        if limit is None:
            return self
        limits = [limit] if isinstance(limit, int) else list(limit)
        limits = [limits[0]] * max(0, len(self.phases) - len(limits)) + limits[-len(self.phases) :]
        return Curriculum(
            [
                replace(
                    phase,
                    steps=min(phase.steps, most),
                    warmup=0,
                    ramp=min(phase.ramp, 1, most),
                    fade=min(phase.fade, most),
                )
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

    def _previous(self, phase: Phase) -> Phase:
        """Return the previous phase, even if it has 0 steps; for the first phase, itself."""
        return self.phases[max(0, self.phases.index(phase) - 1)]


def blend(start: Mapping[str, float], end: Mapping[str, float], share: float) -> dict[str, float]:
    """Return (1 - share) * start + share * end, term by term; absent weights are 0."""
    names = dict.fromkeys([*start, *end])
    return {name: (1 - share) * start.get(name, 0.0) + share * end.get(name, 0.0) for name in names}


def build_curriculum(**phases: Mapping[str, Any] | None) -> Curriculum:
    """Build a curriculum from a config: phase name -> settings of `Phase`, in order; null omits a phase.

    Raises:
        ValueError: an unknown or invalid setting; the message names the key.
    """
    known = [f.name for f in fields(Phase) if f.name != "name"]
    built = []
    for name, settings in phases.items():
        if settings is None:
            continue
        if unknown := set(settings) - set(known):
            raise ValueError(f"curriculum.{name}: unknown key {min(unknown)}; a phase has {', '.join(known)}")
        if missing := {"steps", "weights"} - set(settings):
            raise ValueError(f"curriculum.{name}.{max(missing)} is missing")
        built.append(Phase(name, **{key: value for key, value in settings.items() if value is not None}))
    return Curriculum(built)
