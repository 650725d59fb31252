"""Arrays that are made once: on disk, memory-mapped by every process that reads them, or in memory."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir
from facehall.io.eviction import LRU, file_stats, remove_oldest
from facehall.io.locking import file_lock

_log = logging.getLogger(__name__)

Make = Callable[[], np.ndarray]

HEADER = 256
"""Bytes that .npy puts before an array, at most."""
OPEN = 256
"""Maps that a process keeps open; each holds a file descriptor, of which a process often has no more than 1024."""
USED = ".used"
"""The file that holds how many bytes all processes together have in the folder."""
PATIENCE = 7 * 24 * 3600.0
"""Seconds to wait for another process that decodes."""
SPARE = 2**30
"""Bytes of a disk that are left to others."""


class Store(Protocol):
    """Remembers arrays by a text that says what they are made of.

    Attributes:
        complaint: why something could not be kept; None while everything is.
    """

    complaint: str | None

    def get(self, key: str, make: Make) -> np.ndarray:
        """The array of `key`, made if it is not there. Read-only."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """While the block runs, no other process is in such a block of this store."""
        ...


class MemoryStore:
    """Arrays in the memory of one process, the least recently used dropped first.

    Args:
        megabytes: room; an array larger than that is made anew each time.
    """

    complaint: str | None = None

    def __init__(self, megabytes: float = 1024) -> None:
        if megabytes < 0:
            raise ValueError(f"megabytes is at least 0, not {megabytes}")
        self._arrays: LRU[str, np.ndarray] = LRU(int(megabytes * 2**20), size=_bytes)

    def get(self, key: str, make: Make) -> np.ndarray:
        array = self._arrays.get(key)
        if array is None:
            array = make()
            self._arrays.put(key, array)
        return array

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()


class DiskStore:
    """Arrays in one .npy file each, which appears whole or not at all and is memory-mapped from then on.

    So a killed build goes on where it was, workers and ranks share one copy in the system's page cache, and a source
    that changes gets a new key and is made anew. Where there is no room (`max_gb`, a full or read-only disk), files
    that this run has not asked for go first, the longest unused one before the others; then arrays stay in memory as
    far as `megabytes` reach, and `complaint` says why.

    Args:
        root: the folder; None for FACEHALL_PICTURES, else pictures/ in facehall's cache.
        max_gb: most that the folder may hold, whatever the number of processes that write into it.
        megabytes: memory per process for what the disk does not take.
    """

    def __init__(self, root: str | Path | None = None, max_gb: float = 50, megabytes: float = 1024) -> None:
        if max_gb < 0:
            raise ValueError(f"max_gb is at least 0, not {max_gb}")
        self.root = Path(root or os.environ.get("FACEHALL_PICTURES") or cache_dir() / "pictures")
        self.limit = int(max_gb * 1e9)
        self.complaint: str | None = None
        self._memory = MemoryStore(megabytes)
        self._open: LRU[str, np.ndarray] = LRU(OPEN)
        self._began = time.time() - 1  # the clock of file times may lag behind this one
        self._counted = False  # whether this process has counted what is in the folder
        if self.root.exists() and not self.root.is_dir():
            raise FacehallError(f"store.root={self.root} is a file: name a folder for decoded pictures.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": LRU(OPEN)}  # a memory map would be pickled as the pixels it shows

    def get(self, key: str, make: Make) -> np.ndarray:
        array = self._open.get(key)
        if array is None:
            path = self._path(key)
            array = _map(path)
            if array is None:
                if key in self._memory:
                    return self._memory.get(key, make)
                made = make()
                if not self._write(path, made):
                    return self._memory.get(key, lambda: made)
                array = _map(path)
                if array is None:
                    self.complaint = f"{path} cannot be read back"
                    return self._memory.get(key, lambda: made)
            with suppress(OSError):
                os.utime(path)  # in use: not to be removed by this run, nor soon by another
            self._open.put(key, array)
        return array

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):  # where nothing can be written, nothing is shared
                self.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(self.root / ".lock", PATIENCE, self._tell))
            yield

    def _tell(self) -> None:
        _log.info("another process decodes pictures into %s: waiting.", self.root)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:40]
        return self.root / name[:2] / f"{name}.npy"

    def _write(self, path: Path, array: np.ndarray) -> bool:
        """Whether there was room."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with file_lock(self.root / ".room", poll=0.01):  # one writes at a time, so that the count is exact
                used = self._make_room(array.nbytes + HEADER)
                if used is None:
                    return False
                with replacing(path) as partial, partial.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                self._note(used + path.stat().st_size)
        except (OSError, FacehallError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            self.complaint = f"{self.root} cannot be written: {reason or error}"
            return False
        return True

    def _make_room(self, size: int) -> int | None:
        """The bytes in the folder, in which there is now room for `size` more; None where there is none."""
        used = self._noted() if self._counted else None
        if used is None or used + size > self.limit:  # people and other versions remove files, too
            files = file_stats(self.root.glob("??/*"))  # with what killed processes left half written
            used = sum(stat.st_size for _, stat in files)
            used -= remove_oldest(files, used + size - self.limit, before=self._began)
            self._note(used)
        if used + size > self.limit:
            self.complaint = f"store.max_gb={self.limit / 1e9:g} is reached by the pictures of this run"
            return None
        if shutil.disk_usage(self.root).free < size + SPARE:
            self.complaint = f"the disk of {self.root} is full"
            return None
        return used

    def _noted(self) -> int | None:
        """The bytes in the folder as the process that wrote last has counted them."""
        try:
            return int((self.root / USED).read_text())
        except (OSError, ValueError):
            return None

    def _note(self, used: int) -> None:
        (self.root / USED).write_text(str(used))
        self._counted = True


def _bytes(array: np.ndarray) -> int:
    return array.nbytes


def _map(path: Path) -> np.ndarray | None:
    """The array of a file; None where there is none that can be read; a damaged one goes."""
    try:
        # A plain view: np.memmap's own indexing costs more than the reading.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        return None
    except (ValueError, EOFError):
        with suppress(OSError):
            path.unlink()
        return None
    except OSError:
        return None
