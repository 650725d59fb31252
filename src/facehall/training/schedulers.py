"""Learning-rate schedules that restart in each phase of the curriculum.

A scheduler with an argument `phases` receives the phases in which its network takes steps. The module steps a network's
scheduler once per step of that network, so that the rate is a function of the training step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from facehall.training.curriculum import PhaseSchedule

SHAPES: dict[str, Callable[[float, float], float]] = {
    "cosine": lambda done, _: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done, _: 1 - done,
    "constant": lambda done, _: 1.0,
    "trapezoid": lambda done, cooldown: min(1.0, (1 - done) / cooldown),
}
"""Height of the rate above its floor, from 1 to 0, after a fraction `done` of a phase, given its `cooldown`."""


@dataclass(frozen=True)
class PhaseRate:
    """The rate within one phase, relative to the optimizer's.

    Attributes:
        factor: its peak.
        shape: one of `SHAPES`.
        floor: the rate at the end, relative to the peak.
        warmup: steps in which the rate rises linearly to the peak; the shape starts after them. A phase that is
            shorter, such as one of a trial run, ends while its rate rises.
        cooldown: the last fraction of the steps after the warm-up, in which a ``trapezoid`` falls.
    """

    factor: float
    shape: str
    floor: float
    warmup: int
    cooldown: float

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"a schedule's shape must be one of {', '.join(SHAPES)}, not {self.shape!r}")
        if not isinstance(self.warmup, int) or self.warmup < 0:
            raise ValueError(f"a schedule's warmup must be a number of steps, 0 or more, not {self.warmup!r}")
        if not 0 < self.cooldown <= 1:
            raise ValueError(f"a schedule's cooldown must be a fraction of a phase, in (0, 1], not {self.cooldown!r}")

    def at(self, step: int, steps: int) -> float:
        """Return the rate at step `step`, from 0, of a phase of `steps` steps; past its end, that at its end."""
        if step < self.warmup:
            return self.factor * (step + 1) / self.warmup
        done = min((step - self.warmup) / max(1, steps - self.warmup), 1.0)
        height = SHAPES[self.shape](done, self.cooldown)
        return self.factor * (self.floor + (1 - self.floor) * height)


def phased(
    optimizer: Optimizer,
    phases: Sequence[PhaseSchedule],
    shape: str = "cosine",
    floor: float = 0.01,
    warmup: int = 0,
    cooldown: float = 0.2,
) -> LambdaLR:
    """Decay from a peak to a floor in each phase: rate = lr * factor * (floor + (1 - floor) * shape(done)).

    A phase may set its own ``factor`` (its peak relative to the optimizer's `lr`, default 1) and any of the arguments
    below in `curriculum.PHASE.scheduler.NETWORK`. The rates of all parameter groups are scaled alike.

    Args:
        optimizer: its learning rate is `lr`.
        phases: phases in which the network takes steps.
        shape: ``cosine``, ``linear``, ``constant`` or ``trapezoid`` (constant, then linear).
        floor: final rate of a phase relative to its peak.
        warmup: steps at the start of each phase in which the rate rises linearly to the peak.
        cooldown: last fraction of a phase (without its warm-up), in which a trapezoid falls.

    Raises:
        ValueError: an unknown shape or setting.
    """
    common = {"factor": 1.0, "shape": shape, "floor": floor, "warmup": warmup, "cooldown": cooldown}
    known = list(common)
    pieces = []
    for phase in phases:
        if unknown := set(phase.settings) - set(known):
            raise ValueError(
                f"curriculum.{phase.name}.scheduler accepts {', '.join(known[:-1])} and {known[-1]}, not {min(unknown)}"
            )
        pieces.append((phase.steps, PhaseRate(**{**common, **phase.settings})))

    def factor(step: int) -> float:
        start = 0
        for i, (steps, rate) in enumerate(pieces):
            if step < start + steps or i == len(pieces) - 1:
                return rate.at(step - start, steps)
            start += steps
        return 1.0

    return LambdaLR(optimizer, factor)
