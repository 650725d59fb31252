"""Least-recently-used eviction, in memory and on disk."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def _one(value: object) -> float:
    return 1


FileStat = tuple[Path, os.stat_result]


class LRU(Generic[Key, Value]):
    """A mapping of limited size that evicts the least recently used values.

    Args:
        capacity: maximum total size of all values; a single larger value is not stored.
        size: returns the size of a value; 1 by default, so that `capacity` is a number of values.
    """

    def __init__(self, capacity: float, size: Callable[[Value], float] = _one) -> None:
        self.capacity = capacity
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._used = 0.0

    def get(self, key: Key) -> Value | None:
        """Return the value and mark it as most recently used; None if it is missing."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Key, value: Value) -> None:
        """Store a value unless it exceeds the capacity by itself."""
        if key in self._values:
            self._used -= self._size(self._values.pop(key))
        size = self._size(value)
        if size > self.capacity:
            return
        while self._used + size > self.capacity:
            self._used -= self._size(self._values.popitem(last=False)[1])
        self._values[key] = value
        self._used += size

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)


def file_stats(paths: Iterable[Path]) -> list[FileStat]:
    """Return the existing files with their stat results."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # removed by another process in the meantime
            found.append((path, path.stat()))
    return found


def remove_oldest(files: Iterable[FileStat], excess: float, before: float = float("inf")) -> int:
    """Remove the files with the oldest modification times until `excess` bytes are freed.

    Args:
        files: the result of `file_stats`.
        excess: bytes to free.
        before: seconds since the epoch; files modified then or later are kept.

    Returns:
        Number of bytes removed; less than `excess` if the remaining files must be kept.
    """
    removed = 0
    for path, stat in sorted(files, key=lambda file: file[1].st_mtime_ns):
        if removed >= excess or stat.st_mtime >= before:
            break
        path.unlink(missing_ok=True)  # a process that has it mapped can read on until it unmaps it
        removed += stat.st_size
    return removed
