"""Free memory of a device, and memory use of a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from facehall.models.generators import Generator

FALLBACK_FREE = 2 * 2**30
"""Bytes assumed to be free if the system does not report it."""
WORKSPACE_FACTOR = 1.5
"""Memory use relative to the tensors' size: convolutions reorder their inputs and outputs."""
_OOM_MESSAGES = (
    "out of memory",
    "DefaultCPUAllocator",
    "bad_alloc",
    "bad allocation",
    "ALLOC_FAILED",
    "Failed to alloc",
)


def free_memory(device: torch.device) -> int:
    """Return the bytes that can be allocated on a device, within container and process limits."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    left = [_available(), _cgroup_left(), _address_space_left()]
    return min((number for number in left if number is not None), default=FALLBACK_FREE)


def _available() -> int | None:
    """Return the memory of the machine that is available without swapping."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:  # not Linux: half of the physical memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_left(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what is left of the cgroup's memory limit (v2 or v1), not counting the reclaimable page cache."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = int((root / limit).read_text()), int((root / used).read_text())
        except (OSError, ValueError):  # missing, or "max"
            continue
        statistics = dict(line.split() for line in _lines((root / used).parent / "memory.stat"))
        return max(0, most - now + int(statistics.get(cache, 0)))
    return None


def _address_space_left() -> int | None:
    """Return what is left of the address space limit (`ulimit -v`)."""
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
    """Return the peak memory of the network per LR pixel, in bytes: peak of live tensors times WORKSPACE_FACTOR.

    24 KiB for the default x4 network; measured resident memory on a CPU is 20 to 25 KiB.
    """
    lr = torch.zeros(1, 3, 32, 32, device=next(generator.parameters()).device)
    with _LiveTensors() as live:
        generator(lr)
    return int(WORKSPACE_FACTOR * live.peak / 32**2)


class _LiveTensors(TorchFunctionMode):
    """Tracks the storages of tensors that operations return; `peak` is the maximum number of live bytes."""

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


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error reports that memory ran out; torch has a class for CUDA only, backends have messages."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(text in str(error) for text in _OOM_MESSAGES)
