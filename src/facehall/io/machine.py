"""What this machine has, and how the jobs of a sweep share it: cores, threads, GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from facehall.errors import FacehallError
from facehall.io.locking import file_lock

MOST_JOBS = 4  # without GPUs: a training takes about a gigabyte, and profits from threads


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The CUDA devices that the process of the sweep, a scheduler or the user named in the environment."""
    return [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]


def jobs_at_once() -> int:
    """One job a GPU; without GPUs one a core, four at most."""
    return len(visible_gpus()) or min(cores(), MOST_JOBS)


def threads_a_job(jobs: int) -> int:
    """The cores, dealt out evenly."""
    return max(1, cores() // max(1, jobs))


def gpus_a_job(jobs: int) -> float:
    """The GPUs, dealt out evenly; a whole number, or a part of one."""
    share = len(visible_gpus()) / max(1, jobs)
    return float(int(share)) if share >= 1 else round(share, 4)


@contextmanager
def exclusive_gpu(folder: Path, jobs: int) -> Iterator[str | None]:
    """The GPU for one of `jobs` simultaneous jobs, held by a lock file in `folder` while the block runs.

    None where there is nothing to choose: one job at a time, no GPU, or one that a scheduler chose.
    """
    gpus = visible_gpus()
    if jobs < 2 or len(gpus) < 2:
        yield None
        return
    with ExitStack() as stack:
        chosen = None
        for seat in range(jobs):
            try:
                stack.enter_context(file_lock(folder / f".seat-{seat}", timeout=0))
            except FacehallError:  # somebody sits there
                continue
            chosen = gpus[seat % len(gpus)]
            break
        yield chosen
