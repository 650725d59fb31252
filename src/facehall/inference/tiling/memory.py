"""How much memory there is, and how much of it a network takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from facehall.models.generators import Generator

UNKNOWN = 2 * 2**30
"""What is taken for free where the system does not tell."""
WORKSPACE = 1.5
"""Convolutions take this many times the tensors' memory: they reorder what they read and write."""
_REFUSALS = ("out of memory", "DefaultCPUAllocator", "bad_alloc", "bad allocation", "ALLOC_FAILED", "Failed to alloc")


def free_memory(device: torch.device) -> int:
    """Bytes that can be taken on a device without pressing on others: of a container, what its limit leaves."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    left = [_available(), _cgroup_left(), _address_space_left()]
    return min((number for number in left if number is not None), default=UNKNOWN)


def _available() -> int | None:
    """Of the machine, what can be had without swapping."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:  # no Linux: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_left(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the container's limit leaves, version 2 or 1; the page cache gives way and does not count."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = int((root / limit).read_text()), int((root / used).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        statistics = dict(line.split() for line in _lines((root / used).parent / "memory.stat"))
        return max(0, most - now + int(statistics.get(cache, 0)))
    return None


def _address_space_left() -> int | None:
    """What `ulimit -v` leaves."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = next(iter(_lines("/proc/self/statm")), "").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return max(0, limit - int(pages[0]) * resource.getpagesize())


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


@torch.inference_mode()
def bytes_per_pixel(generator: Generator) -> int:
    """Peak memory of the network per LR pixel, in bytes: the tensors alive at once in a small picture, and WORKSPACE.

    Of the default x4 network 24 KiB, where 20 to 25 were seen resident on a CPU.
    """
    lr = torch.zeros(1, 3, 32, 32, device=next(generator.parameters()).device)
    with _LiveTensors() as live:
        generator(lr)
    return int(WORKSPACE * live.peak / 32**2)


class _LiveTensors(TorchFunctionMode):
    """Follows the storages of the tensors that operations return; `peak` is the most bytes that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[StorageWeakRef, int] = {}
        self.peak = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.alive[StorageWeakRef(out.untyped_storage())] = out.untyped_storage().nbytes()
            self.alive = {reference: size for reference, size in self.alive.items() if not reference.expired()}
            self.peak = max(self.peak, sum(self.alive.values()))
        return out


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; torch has a class for CUDA's alone, and each backend has its words."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in str(error) for word in _REFUSALS)
