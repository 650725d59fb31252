"""What is used least recently goes first, in memory and on disk."""

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
    """A mapping of limited size that drops what was not asked for for longest.

    Args:
        room: the most that all values together may measure; a larger value is not kept.
        size: what one value measures; 1 by default, so that `room` is a number of values.
    """

    def __init__(self, room: float, size: Callable[[Value], float] = _one) -> None:
        self.room = room
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._used = 0.0

    def get(self, key: Key) -> Value | None:
        """The value, from now on the one asked for last; None if it is not there."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, if there is room for it at all."""
        if key in self._values:
            self._used -= self._size(self._values.pop(key))
        size = self._size(value)
        if size > self.room:
            return
        while self._used + size > self.room:
            self._used -= self._size(self._values.popitem(last=False)[1])
        self._values[key] = value
        self._used += size

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)


def file_stats(paths: Iterable[Path]) -> list[FileStat]:
    """The files that are still there, with their stat."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # another process removed it just now
            found.append((path, path.stat()))
    return found


def remove_oldest(files: Iterable[FileStat], excess: float, before: float = float("inf")) -> int:
    """Remove the files used longest ago, by their time of modification, until `excess` bytes are free.

    Args:
        files: as `file_stats` gives them.
        excess: bytes that are too many.
        before: seconds since the epoch; files used then or later stay.

    Returns:
        How many bytes were removed, fewer than `excess` where the others must stay.
    """
    removed = 0
    for path, stat in sorted(files, key=lambda file: file[1].st_mtime_ns):
        if removed >= excess or stat.st_mtime >= before:
            break
        path.unlink(missing_ok=True)  # a process that has it mapped keeps it until it lets go
        removed += stat.st_size
    return removed
