"""Threads of one process that each compute a slice of a batch and can exchange tensors meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


class _Here(threading.local):
    """The group and rank of the current thread."""

    group: ThreadGroup | None = None
    rank: int = 0


_here = _Here()


def thread_rank() -> int:
    """Return the rank of the current thread in its `ThreadGroup`; 0 outside of one."""
    return _here.rank


def current_group() -> ThreadGroup | None:
    """Return the group whose `run` the current thread executes, or None."""
    return _here.group


class ThreadGroup:
    """A fixed number of threads that run the same function, each with its own rank.

    A rank always runs on the same thread. Autograd orders independent nodes by a counter of the thread that created
    them, and runs the backward pass of CPU tensors in the thread that calls it, so all ranks reach their exchanges in
    the same order, forward and backward.

    Args:
        size: number of threads.
        intra_op_threads: torch's intra-op threads of each of them; the caller's number is unchanged.
    """

    def __init__(self, size: int, intra_op_threads: int = 1) -> None:
        self.size = size
        self._barrier = threading.Barrier(size)
        self._slots: list[Any] = [None] * size
        own = torch.get_num_threads()
        self._workers = [
            ThreadPoolExecutor(1, f"facehall-data-{rank}", limit_threads, (intra_op_threads,)) for rank in range(size)
        ]
        for rank, worker in enumerate(self._workers):
            worker.submit(self._enter, rank).result()
        torch.set_num_threads(own)  # set_num_threads in a worker also changes the default of new threads

    def _enter(self, rank: int) -> None:
        _here.group, _here.rank = self, rank

    def run(self, function: Callable[[int], Result]) -> list[Result]:
        """Call ``function(rank)`` on every thread and return the results by rank.

        If it fails on some threads, the others are released from their exchanges, and the error of the lowest rank is
        raised.
        """
        futures = [worker.submit(self._guarded, function, rank) for rank, worker in enumerate(self._workers)]
        wait(futures)
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            self._barrier.reset()
            self._slots = [None] * self.size
            # Ranks that were waiting for the failed one only report that the barrier is broken.
            raise next((error for error in errors if not isinstance(error, threading.BrokenBarrierError)), errors[0])
        return [future.result() for future in futures]

    def _guarded(self, function: Callable[[int], Result], rank: int) -> Result:
        try:
            return function(rank)
        except BaseException:
            self._barrier.abort()
            raise

    def exchange(self, value: Any) -> list[Any]:
        """Return the values that all threads of the group pass to this call, by rank. Call it inside `run`."""
        self._slots[_here.rank] = value
        self._barrier.wait()
        values = list(self._slots)
        self._barrier.wait()  # nobody overwrites a slot before all have read it
        return values

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.shutdown()


def limit_threads(count: int) -> None:
    """Set the intra-op threads of the current thread, a new one."""
    torch.get_num_threads()  # a thread's first call resets it to the process default, even after set
    torch.set_num_threads(count)
