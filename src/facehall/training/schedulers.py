"""Learning-rate schedules that restart in each phase of the curriculum.

A scheduler with an argument `phases` receives the phases in which its network takes steps. The module steps a network's
scheduler once per step of that network, so that the rate is a function of the training step.
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
"""Height of the rate above its floor, from 1 to 0, after a fraction `done` of a phase."""


def phased(
    optimizer: Optimizer, phases: Sequence[PhaseSchedule], shape: str = "cosine", floor: float = 0.01
) -> LambdaLR:
    """Decay from a peak to a floor in each phase: rate = lr * factor * (floor + (1 - floor) * shape(done)).

    A phase may set its own ``factor`` (its peak relative to the optimizer's `lr`, default 1), ``shape`` and ``floor``
    in `curriculum.PHASE.scheduler.NETWORK`.

    Args:
        optimizer: its learning rate is `lr`.
        phases: phases in which the network takes steps.
        shape: ``cosine``, ``linear`` or ``constant``.
        floor: final rate of a phase relative to its peak.

    Raises:
        ValueError: an unknown shape or setting.
    """
    pieces = []
    for phase in phases:
        settings = {"factor": 1.0, "shape": shape, "floor": floor, **phase.settings}
        if unknown := set(settings) - {"factor", "shape", "floor"}:
            raise ValueError(f"curriculum.{phase.name}.scheduler accepts factor, shape and floor, not {min(unknown)}")
        if settings["shape"] not in SHAPES:
            raise ValueError(f"a schedule's shape must be one of {', '.join(SHAPES)}, not {settings['shape']!r}")
        pieces.append((phase.steps, float(settings["factor"]), SHAPES[settings["shape"]], float(settings["floor"])))

    def factor(step: int) -> float:
        start = 0
        for i, (steps, peak, decay, low) in enumerate(pieces):
            if step < start + steps or i == len(pieces) - 1:
                done = min((step - start) / max(1, steps), 1.0)
                return peak * (low + (1 - low) * decay(done))
            start += steps
        return 1.0

    return LambdaLR(optimizer, factor)
