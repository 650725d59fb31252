"""Learning rates over the curriculum: schedules that start anew in each phase.

A scheduler that takes an argument `phases` is given the phases in which its network takes steps. The module steps a
network's scheduler once per step of that network, so that the rate is a function of the training step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from facehall.training.curriculum import PhaseSchedule

SHAPES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
}
"""How far the rate still is above its floor, from 1 to 0, when a share `done` of a phase has passed."""


def phased(
    optimizer: Optimizer, phases: Sequence[PhaseSchedule], shape: str = "cosine", floor: float = 0.01
) -> LambdaLR:
    """In each phase from its peak down to a floor: rate = lr * factor * (floor + (1 - floor) * shape(done)).

    A phase may set ``factor`` (its peak over the optimizer's `lr`, 1 by default), ``shape`` and ``floor`` for itself:
    `curriculum.PHASE.scheduler.NETWORK`.

    Args:
        optimizer: its learning rate is `lr`.
        phases: those in which the network takes steps.
        shape: ``cosine``, ``linear`` or ``constant``.
        floor: where a phase ends, over its peak.

    Raises:
        ValueError: an unknown shape or setting.
    """
    pieces = []
    for phase in phases:
        settings = {"factor": 1.0, "shape": shape, "floor": floor, **phase.settings}
        if unknown := set(settings) - {"factor", "shape", "floor"}:
            raise ValueError(f"curriculum.{phase.name}.scheduler sets factor, shape and floor, not {min(unknown)}")
        if settings["shape"] not in SHAPES:
            raise ValueError(f"a schedule's shape is one of {', '.join(SHAPES)}, not {settings['shape']!r}")
        pieces.append((phase.steps, float(settings["factor"]), SHAPES[settings["shape"]], float(settings["floor"])))

    def factor(step: int) -> float:
        start = 0
        for i, (steps, peak, falling, low) in enumerate(pieces):
            if step < start + steps or i == len(pieces) - 1:
                done = min((step - start) / max(1, steps), 1.0)
                return peak * (low + (1 - low) * falling(done))
            start += steps
        return 1.0

    return LambdaLR(optimizer, factor)
