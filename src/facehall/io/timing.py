"""Comparable wall-clock timings: tasks are interleaved, and each reports the median of its rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Task = Callable[[], object]


def _noop() -> None:
    pass


def seconds(task: Task, synchronize: Task = _noop) -> float:
    """Return the duration of one call in seconds.

    Args:
        task: the function to time.
        synchronize: waits for the device; called before and after the task.
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
    synchronize: Task = _noop,
    advance: Callable[[], object] = _noop,
) -> dict[Key, list[float]]:
    """Time all tasks once per round, so that background load affects all alike; return the seconds of each.

    Args:
        tasks: the functions to time.
        rounds: number of timed rounds.
        warmup: untimed rounds before those, for allocation, planning and compilation.
        synchronize: see `seconds`.
        advance: called after each round, including warm-up.

    Raises:
        ValueError: if `rounds` is less than 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    times: dict[Key, list[float]] = {key: [] for key in tasks}
    for index in range(warmup + rounds):
        for key, task in tasks.items():
            elapsed = seconds(task, synchronize)
            if index >= warmup:
                times[key].append(elapsed)
        advance()
    return times


def medians(times: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """Return the median of each task's rounds."""
    return {key: statistics.median(rounds) for key, rounds in times.items()}


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the median of the per-round ratios, in which disturbances of a round cancel out."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))
