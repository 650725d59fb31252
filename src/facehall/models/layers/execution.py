"""Ways to execute tasks that do not depend on one another: in turn, on threads, on CUDA streams."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import torch
from torch import Tensor

from facehall.errors import FacehallError

Execution = Literal["in_turn", "threads", "grouped", "streams"]
EXECUTIONS = ("in_turn", "threads", "grouped", "streams")

Task = Callable[[], Sequence[Any]]
Runner = Callable[[Sequence[Task]], list[Any]]
"""Runs tasks, each of which returns a sequence of tensors and Nones, and returns what they return, in their order."""


def in_turn(tasks: Sequence[Task]) -> list[Any]:
    """One after another, each with all intra-op threads."""
    return [task() for task in tasks]


def on_threads(tasks: Sequence[Task]) -> list[Any]:
    """Side by side on as many threads as torch may use here, which share its intra-op threads."""
    threads = torch.get_num_threads()
    workers = min(len(tasks), threads)
    if workers < 2:
        return in_turn(tasks)
    return list(_pool(workers, threads // workers).map(_without_graph, tasks))


def on_streams(tasks: Sequence[Task]) -> list[Any]:
    """Side by side on CUDA streams of their own, which the current stream waits for.

    It can be captured into a CUDA graph: side streams that fork from the capturing one and join it again belong to it.
    """
    current = torch.cuda.current_stream()
    results = []
    for task, stream in zip(tasks, _streams(len(tasks), torch.cuda.current_device()), strict=True):
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            results.append(task())
    for stream, result in zip(_streams(len(tasks), torch.cuda.current_device()), results, strict=True):
        current.wait_stream(stream)
        for tensor in result:
            if isinstance(tensor, Tensor):
                tensor.record_stream(current)  # allocated on the side stream, used and freed on this one
    return results


RUNNERS: dict[str, tuple[Runner, str | None]] = {
    "in_turn": (in_turn, None),
    "threads": (on_threads, "cpu"),
    "streams": (on_streams, "cuda"),
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


def _without_graph(task: Task) -> Sequence[Any]:
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


@functools.cache
def _streams(count: int, device: int) -> list[torch.cuda.Stream]:
    return [torch.cuda.Stream(device) for _ in range(count)]
