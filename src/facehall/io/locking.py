"""One process at a time: a lock file that disappears with its holder."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from facehall.errors import FacehallError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems without locks answer, some network file systems among them."""


@contextmanager
def file_lock(
    path: Path, timeout: float = 3600.0, on_wait: Callable[[], None] | None = None, poll: float = 0.2
) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created, and removed at the end) while the block runs.

    The operating system drops the lock when its holder dies, so no stale lock is left; the file itself stays then. On a
    file system without locks the block runs without one.

    Args:
        path: the lock file; its folder must exist and be writable.
        timeout: seconds to wait for another holder before giving up.
        on_wait: called once if there is another holder.
        poll: seconds between two attempts.

    Raises:
        FacehallError: the other holder did not finish in time.
        OSError: the file cannot be written.

    """
    lock = FileLock(path, poll_interval=poll, fallback_to_soft=False)
    held = True
    try:
        _acquire(lock, timeout, on_wait)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        held = False
    try:
        yield
    finally:
        if held:
            with suppress(OSError):  # Windows refuses, and removes it on release
                path.unlink()  # while it is locked: who has opened it and gets the lock later sees that it is gone
            lock.release()


def _acquire(lock: FileLock, timeout: float, on_wait: Callable[[], None] | None) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        if on_wait is not None:
            on_wait()
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        raise FacehallError(
            f"Another process has held {lock.lock_file} for {timeout:.0f} s. If it hangs, end it and start again; "
            "its lock goes with it."
        ) from None
