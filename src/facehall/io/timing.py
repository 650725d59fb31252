"""Wall-clock times that can be compared: tasks take turns, and each has the median of its rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Task = Callable[[], object]


def _nothing() -> None:
    pass


def seconds(task: Task, synchronize: Task = _nothing) -> float:
    """How long one call takes.

    Args:
        task: what is timed.
        synchronize: waits for the device that works for the task, before and after it.
    """
    synchronize()
    started = time.perf_counter()
    task()
    synchronize()
    return time.perf_counter() - started


def interleaved(
    tasks: Mapping[Key, Task],
    rounds: int,
    warmup: int = 1,
    synchronize: Task = _nothing,
    advance: Callable[[], object] = _nothing,
) -> dict[Key, list[float]]:
    """The seconds of each task, round by round; within a round the tasks take turns, so that load affects all alike.

    Args:
        tasks: what is timed.
        rounds: that count.
        warmup: rounds before those, which allocate, plan and compile.
        synchronize: see `seconds`.
        advance: called after each round, warm-up included.

    Raises:
        ValueError: no round counts.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    found: dict[Key, list[float]] = {key: [] for key in tasks}
    for turn in range(warmup + rounds):
        for key, task in tasks.items():
            took = seconds(task, synchronize)
            if turn >= warmup:
                found[key].append(took)
        advance()
    return found


def medians(found: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """The median of each task's rounds."""
    return {key: statistics.median(times) for key, times in found.items()}


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """The median of the rounds' ratios: what disturbs a round disturbs both."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))
