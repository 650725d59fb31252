"""Cores, GPUs and memory of this machine, and how the jobs of a sweep share them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from facehall.errors import FacehallError
from facehall.io.locking import file_lock

MAX_CPU_JOBS = 4  # without GPUs; a training takes about a gigabyte and benefits from threads


def cores() -> int:
    """Return the number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the devices in CUDA_VISIBLE_DEVICES, as set by the sweep, a scheduler or the user."""
    return [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]


def default_jobs() -> int:
    """Return the default number of concurrent jobs: one per GPU; without GPUs one per core, at most four."""
    return len(visible_gpus()) or min(cores(), MAX_CPU_JOBS)


def threads_per_job(jobs: int) -> int:
    """Return an equal share of the cores, at least 1."""
    return max(1, cores() // max(1, jobs))


def gpus_per_job(jobs: int) -> float:
    """Return an equal share of the GPUs: a whole number, or a fraction of one."""
    share = len(visible_gpus()) / max(1, jobs)
    return float(int(share)) if share >= 1 else round(share, 4)


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next request of this process instead of returning it to the system.

    Otherwise the activations of each training step are new pages, which the system clears one by one.

    Returns:
        True where it is possible: with glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return False
    trim_threshold, mmap_threshold, gigabyte = -1, -3, 1 << 30  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    return bool(mallopt(trim_threshold, gigabyte) and mallopt(mmap_threshold, gigabyte))


@contextmanager
def exclusive_gpu(folder: Path, jobs: int) -> Iterator[str | None]:
    """Reserve a GPU for one of `jobs` concurrent jobs through a lock file in `folder` while the block runs.

    Yield its name, or None if there is no choice: one job at a time, no GPU, or one assigned by a scheduler.
    """
    gpus = visible_gpus()
    if jobs < 2 or len(gpus) < 2:
        yield None
        return
    with ExitStack() as stack:
        chosen = None
        for slot in range(jobs):
            try:
                stack.enter_context(file_lock(folder / f".slot-{slot}", timeout=0))
            except FacehallError:  # taken by another job
                continue
            chosen = gpus[slot % len(gpus)]
            break
        yield chosen
