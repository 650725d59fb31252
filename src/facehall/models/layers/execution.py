"""Ways to execute tasks that do not depend on one another: in turn, or on threads."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import torch

from facehall.errors import FacehallError

Execution = Literal["in_turn", "threads", "grouped"]
EXECUTIONS = ("in_turn", "threads", "grouped")

Task = Callable[[], Sequence[Any]]
Runner = Callable[[Sequence[Task]], list[Any]]
"""Runs tasks, each of which returns a sequence of tensors and Nones, and returns what they return, in their order."""


def run_in_turn(tasks: Sequence[Task]) -> list[Any]:
    """One after another, each with all intra-op threads."""
    return [task() for task in tasks]


def run_on_threads(tasks: Sequence[Task]) -> list[Any]:
    """Side by side on as many threads as torch may use here, which share its intra-op threads."""
    threads = torch.get_num_threads()
    workers = min(len(tasks), threads)
    if workers < 2:
        return run_in_turn(tasks)
    return list(_pool(workers, threads // workers).map(_run_without_grad, tasks))


RUNNERS: dict[str, tuple[Runner, str | None]] = {
    "in_turn": (run_in_turn, None),
    "threads": (run_on_threads, "cpu"),
}
"""Runner and the device type that it needs."""


def runner(execution: str, device: torch.device) -> Runner:
    """The runner of that name.

    Raises:
        FacehallError: the tensors are on a device that it is not for.
    """
    run, needs = RUNNERS[execution]
    if needs not in (None, device.type):
        raise FacehallError(
            f"generator.execution={execution} is for {needs.upper()} and the network runs on {device.type.upper()}: "
            "choose another, in_turn runs anywhere."
        )
    return run


def _run_without_grad(task: Task) -> Sequence[Any]:
    with torch.no_grad():  # gradient mode belongs to a thread, and a new thread's is on
        return task()


@functools.cache
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Workers with that many intra-op threads each; the caller keeps its own."""
    own, ready = torch.get_num_threads(), threading.Barrier(workers + 1)

    def settle() -> None:
        torch.get_num_threads()  # a thread's first question gives it the process's default, also after it set its own
        torch.set_num_threads(threads)
        ready.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="facehall-branch")
    for _ in range(workers):  # none is idle before all are at the barrier, so each takes one
        pool.submit(settle)
    ready.wait()
    torch.set_num_threads(own)  # what a thread sets also becomes the default of threads to come
    return pool


# A forked process has the pool but not its threads, and would wait for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)
