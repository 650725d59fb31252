"""One process at a time: a lock file that disappears with its holder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from facehall.errors import FacehallError

try:
    import fcntl
except ImportError:  # Windows: the files are still written atomically, but several processes may do the same work
    fcntl = None  # type: ignore[assignment]


@contextmanager
def file_lock(path: Path, timeout: float = 3600.0, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created, and removed at the end) while the block runs.

    The kernel drops the lock when its holder dies, so nothing stale is left. Where the file system knows no
    locks the block runs without one.

    Args:
        path: the lock file; its folder must exist and be writable.
        timeout: seconds to wait for another holder before giving up.
        on_wait: called once if there is another holder.

    Raises:
        FacehallError: when the other holder did not finish in time.

    """
    deadline = time.monotonic() + timeout
    waited = False
    while (handle := _try_lock(path)) is None:
        if not waited and on_wait is not None:
            on_wait()
        waited = True
        if time.monotonic() > deadline:
            raise FacehallError(
                f"Another process has held {path} for {timeout:.0f} s. If it hangs, end it and start again; "
                "the lock goes with it."
            )
        time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the lock is dropped: see the inode check below
        handle.close()


def _try_lock(path: Path) -> IO[bytes] | None:
    """The locked file, or None while somebody else holds it."""
    handle = path.open("ab")
    if fcntl is None:
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    except OSError:  # ENOLCK, ENOTSUP: a network file system without locks
        return handle
    # The previous holder may have unlinked the file between our open and our lock: then ours guards nothing.
    try:
        same = os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        same = False
    if not same:
        handle.close()
        return None
    return handle
