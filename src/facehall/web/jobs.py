"""One job at a time, in the order of arrival, and only so many waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

Advance = Callable[[float], None]

UNSENT = 2
"""Jobs that run, or wait for their reader to take the result; more of them do not start. It bounds the memory."""


class BusyError(Exception):
    """As many jobs as allowed are waiting."""


class Jobs:
    """A queue, and the thread that works it off.

    Args:
        limit: jobs that may be waiting, running or being sent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: list[Job] = []
        self._unsent = threading.Semaphore(UNSENT)
        # One thread for all jobs, because torch keeps a pool of its own for every thread that calls it.
        self._executor = futures.ThreadPoolExecutor(1, "facehall-job")

    def reserve(self) -> Job:
        """Return a job without work, whose place is kept until it is closed.

        Raises:
            BusyError: if the queue is full.
        """
        with self._lock:
            if len(self._open) >= self._limit:
                raise BusyError
            job = Job(self)
            self._open.append(job)
        return job

    def close(self) -> None:
        """Cancel all jobs and wait for the end of the running one."""
        for job in list(self._open):
            job.close()
        self._executor.shutdown()

    def submit(self, run: Callable[[], Any]) -> futures.Future[Any]:
        """Queue a function (for `Job`)."""
        return self._executor.submit(self._run, run)

    def remove(self, job: Job, future: futures.Future[Any] | None) -> None:
        """Free a job's place, and let the next one start as soon as it has ended (for `Job`)."""
        with self._lock:
            if job not in self._open:
                return
            self._open.remove(job)
        if future is not None and not future.cancel():
            future.add_done_callback(lambda _: self._unsent.release())

    def ahead(self, job: Job) -> int:
        """Return how many unfinished jobs are before this one (for `Job`)."""
        with self._lock:
            before = self._open[: self._open.index(job)] if job in self._open else []
        return sum(not other.done for other in before)

    def _run(self, run: Callable[[], Any]) -> Any:
        self._unsent.acquire()
        return run()


class Job:
    """A place in the queue, and the work that is done when its turn comes. A context manager that closes it.

    Attributes:
        share: how much of the work is done, from 0 to 1; None before its turn.
    """

    def __init__(self, jobs: Jobs) -> None:
        self.share: float | None = None
        self._jobs = jobs
        self._closed = threading.Event()
        self._future: futures.Future[Any] | None = None

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self, work: Callable[[Advance], Any]) -> None:
        """Queue the work.

        Args:
            work: called with a function to report the share of it that is done, which raises CancelledError once the
                job is closed.
        """

        def run() -> Any:
            self._advance(0)
            return work(self._advance)

        self._future = self._jobs.submit(run)

    @property
    def done(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self._future is not None and self._future.done()

    @property
    def ahead(self) -> int:
        """Number of unfinished jobs that came earlier."""
        return self._jobs.ahead(self)

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for the end of the work; return whether it has ended."""
        assert self._future is not None
        futures.wait([self._future], seconds)
        return self.done

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised; CancelledError if the job was closed before."""
        assert self._future is not None
        return self._future.result()

    def close(self) -> None:
        """Cancel the work if it has not ended, and free the place."""
        self._closed.set()
        self._jobs.remove(self, self._future)

    def _advance(self, share: float) -> None:
        if self._closed.is_set():
            raise futures.CancelledError
        self.share = share
