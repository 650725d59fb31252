"""Atomic file writes."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on an error.

    The folder is created. Readers see the old file or the new one, never a partial one. An OSError without a file name,
    as raised on a full disk, gets the name `path`.

    Args:
        path: the file.
        durable: fsync the file before the rename and the folder after it, so that a power failure leaves the old file
            or the new one as well. Slower.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.encode(errors="surrogateescape")[:200].decode(errors="ignore")  # names are limited to 255 bytes
    partial = path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield partial
        if durable:
            _fsync(partial)
        partial.replace(path)
        if durable:
            _fsync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise the OSError that `replacing` would, before long work whose result goes to `path`; create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        probe.touch()
    finally:
        probe.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    """Flush a file or folder to disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Atomically write UTF-8 text without newline translation."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def remove_partials(folder: Path) -> None:
    """Remove partial files left below a folder by killed processes. No process may be writing there."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def disk_full_error(error: BaseException) -> OSError | None:
    """Return the OSError in an error's cause chain that reports a full disk, quota or file size limit, else None."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return cause
        cause = cause.__cause__
    return None
