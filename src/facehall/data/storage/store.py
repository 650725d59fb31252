"""Caches of computed arrays: on disk, memory-mapped by all processes, or in memory."""

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

HEADER_BYTES = 256
"""Maximum size of the header of an .npy file."""
MAX_OPEN = 256
"""Maximum number of open memory maps; each uses a file descriptor, often limited to 1024 per process."""
USED_FILE = ".used"
"""File that records the total size in bytes of the folder, shared by all processes."""
LOCK_TIMEOUT = 7 * 24 * 3600.0
"""Seconds to wait for another process to finish decoding."""
RESERVED_BYTES = 2**30
"""Disk space left free for others."""


class Store(Protocol):
    """Cache of arrays, keyed by a text that identifies their content.

    Attributes:
        warning: why an array could not be stored, or None.
    """

    warning: str | None

    def get(self, key: str, make: Make) -> np.ndarray:
        """Return the array for `key`, calling `make` if it is not stored. Read-only."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Return a context manager that locks the store against other processes' exclusive blocks."""
        ...


class MemoryStore:
    """Arrays in the memory of one process; the least recently used are evicted first.

    Args:
        megabytes: capacity; a larger array is recomputed each time.
    """

    warning: str | None = None

    def __init__(self, megabytes: float = 1024) -> None:
        if megabytes < 0:
            raise ValueError(f"megabytes must be at least 0, not {megabytes}")
        self._arrays: LRU[str, np.ndarray] = LRU(int(megabytes * 2**20), size=_nbytes)

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
    """Arrays in one .npy file each, written atomically and memory-mapped.

    An interrupted build therefore resumes, workers and ranks share one copy in the page cache, and a changed source
    gets a new key and is decoded again. If space runs out (`max_gb`, a full or read-only disk), files not used by this
    run are evicted first, least recently used first; after that, arrays are kept in memory up to `megabytes`, and
    `warning` says why.

    Args:
        root: the folder; None for FACEHALL_PICTURES, else pictures/ in facehall's cache.
        max_gb: maximum size of the folder, for all writing processes together.
        megabytes: memory per process for arrays that do not fit on disk.
    """

    def __init__(self, root: str | Path | None = None, max_gb: float = 50, megabytes: float = 1024) -> None:
        if max_gb < 0:
            raise ValueError(f"max_gb must be at least 0, not {max_gb}")
        self.root = Path(root or os.environ.get("FACEHALL_PICTURES") or cache_dir() / "pictures")
        self.limit = int(max_gb * 1e9)
        self.warning: str | None = None
        self._memory = MemoryStore(megabytes)
        self._open: LRU[str, np.ndarray] = LRU(MAX_OPEN)
        self._started = time.time() - 1  # file timestamps may lag behind this clock
        self._counted = False  # whether this process has measured the folder
        if self.root.exists() and not self.root.is_dir():
            raise FacehallError(f"store.root={self.root} is a file: set a folder for decoded pictures.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": LRU(MAX_OPEN)}  # memory maps would be pickled with their pixels

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
                    self.warning = f"{path} cannot be read back"
                    return self._memory.get(key, lambda: made)
            with suppress(OSError):
                os.utime(path)  # marks it as recently used, which protects it from eviction
            self._open.put(key, array)
        return array

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):  # no lock is needed if nothing can be written
                self.root.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(self.root / ".lock", LOCK_TIMEOUT, self._log_wait))
            yield

    def _log_wait(self) -> None:
        _log.info("Waiting for another process that is decoding pictures to %s.", self.root)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:40]
        return self.root / name[:2] / f"{name}.npy"

    def _write(self, path: Path, array: np.ndarray) -> bool:
        """Write an array; return whether it was stored."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with file_lock(self.root / ".room", poll=0.01):  # one writer at a time keeps the recorded size exact
                used = self._make_room(array.nbytes + HEADER_BYTES)
                if used is None:
                    return False
                with replacing(path) as partial, partial.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                self._record_use(used + path.stat().st_size)
        except (OSError, FacehallError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            self.warning = f"{self.root} cannot be written: {reason or error}"
            return False
        return True

    def _make_room(self, size: int) -> int | None:
        """Evict files until `size` more bytes fit; return the bytes in the folder, or None if they do not fit."""
        used = self._recorded_use() if self._counted else None
        if used is None or used + size > self.limit:  # users and other versions may have removed files
            files = file_stats(self.root.glob("??/*"))  # includes partial files of killed processes
            used = sum(stat.st_size for _, stat in files)
            used -= remove_oldest(files, used + size - self.limit, before=self._started)
            self._record_use(used)
        if used + size > self.limit:
            self.warning = f"the pictures of this run exceed store.max_gb={self.limit / 1e9:g}"
            return None
        if shutil.disk_usage(self.root).free < size + RESERVED_BYTES:
            self.warning = f"the disk of {self.root} is full"
            return None
        return used

    def _recorded_use(self) -> int | None:
        """Return the size in bytes of the folder as recorded by the last writer, or None."""
        try:
            return int((self.root / USED_FILE).read_text())
        except (OSError, ValueError):
            return None

    def _record_use(self, used: int) -> None:
        (self.root / USED_FILE).write_text(str(used))
        self._counted = True


def _nbytes(array: np.ndarray) -> int:
    return array.nbytes


def _map(path: Path) -> np.ndarray | None:
    """Memory-map the array of a file; return None if missing or unreadable. A damaged file is deleted."""
    try:
        # A plain array view, because np.memmap's own indexing costs more than reading.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        return None
    except (ValueError, EOFError):
        with suppress(OSError):
            path.unlink()
        return None
    except OSError:
        return None
