"""Mutual exclusion between processes through a lock file that is released when its holder dies."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from facehall.errors import FacehallError

_LOCKS_UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems that do not support locks, such as some network file systems."""


@contextmanager
def file_lock(
    path: Path, timeout: float = 3600.0, on_wait: Callable[[], None] | None = None, poll: float = 0.2
) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created, and removed at the end) while the block runs.

    The operating system releases the lock when its holder dies, so a lock is never stale; the file itself is then left
    behind. On a file system without locks, the block runs without one.

    Args:
        path: the lock file; its folder must exist and be writable.
        timeout: seconds to wait for another holder before giving up.
        on_wait: called once if there is another holder.
        poll: seconds between two attempts.

    Raises:
        FacehallError: if the other holder did not finish in time.
        OSError: if the file cannot be written.

    """
    lock = FileLock(path, poll_interval=poll, fallback_to_soft=False)
    held = True
    try:
        _acquire(lock, timeout, on_wait)
    except OSError as error:
        if error.errno not in _LOCKS_UNSUPPORTED:
            raise
        held = False
    try:
        yield
    finally:
        if held:
            with suppress(OSError):  # Windows refuses to, but removes it on release
                path.unlink()  # while locked, so that a process that acquires the lock next notices the removal
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
            f"Another process has held {lock.lock_file} for {timeout:.0f} s. If it hangs, kill it and start again; "
            "this releases its lock."
        ) from None
