"""Execution of independent tasks: one after another, or on threads."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import torch

from facehall.distributed.threads import limit_threads
from facehall.errors import FacehallError

Execution = Literal["in_turn", "threads", "grouped"]
EXECUTIONS = ("in_turn", "threads", "grouped")

Task = Callable[[], Sequence[Any]]
Runner = Callable[[Sequence[Task]], list[Any]]
"""Runs tasks, each returning a sequence of tensors and Nones, and returns their results in order."""


def run_in_turn(tasks: Sequence[Task]) -> list[Any]:
    """Run tasks one after another, each with all intra-op threads."""
    return [task() for task in tasks]


def run_on_threads(tasks: Sequence[Task]) -> list[Any]:
    """Run tasks in parallel on as many threads as torch may use; they share its intra-op threads."""
    threads = torch.get_num_threads()
    workers = min(len(tasks), threads)
    if workers < 2:
        return run_in_turn(tasks)
    return list(_pool(workers, threads // workers).map(_run_without_grad, tasks))


RUNNERS: dict[str, tuple[Runner, str | None]] = {
    "in_turn": (run_in_turn, None),
    "threads": (run_on_threads, "cpu"),
}
"""Runner and the device type it requires (None: any)."""


def runner(execution: str, device: torch.device) -> Runner:
    """Return a runner by name.

    Raises:
        FacehallError: it does not support the device.
    """
    run, needs = RUNNERS[execution]
    if needs not in (None, device.type):
        raise FacehallError(
            f"generator.execution={execution} requires {needs.upper()}, but the network runs on {device.type.upper()}: "
            "choose another; in_turn runs on any device."
        )
    return run


def _run_without_grad(task: Task) -> Sequence[Any]:
    with torch.no_grad():  # gradient mode is per thread and enabled in new threads
        return task()


@functools.cache
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Return a pool of workers with that many intra-op threads each; the caller's number is unchanged."""
    own, ready = torch.get_num_threads(), threading.Barrier(workers + 1)

    pool = ThreadPoolExecutor(workers, "facehall-branch", limit_threads, (threads,))
    for _ in range(workers):  # no worker is idle until all are at the barrier, so each takes one
        pool.submit(ready.wait)
    ready.wait()
    torch.set_num_threads(own)  # set_num_threads in a worker also changes the default of new threads
    return pool


# A forked process inherits the pool without its threads and would hang.
os.register_at_fork(after_in_child=_pool.cache_clear)
