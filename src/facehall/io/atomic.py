"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, whose file takes the name `path` if the block ends well and goes if it does not.

    The folder is made. A reader sees the old file or the new one, never a part. An OSError that names no file, as one
    of a full disk, is given the name `path`.

    Args:
        path: the file.
        durable: it is on the disk before it takes the name, and the name before this returns: a loss of power leaves
            the old file or the new one, too. That takes the disk's time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.encode(errors="surrogateescape")[:200].decode(errors="ignore")  # a name has 255 bytes at most
    partial = path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield partial
        if durable:
            _flush(partial)
        partial.replace(path)
        if durable:
            _flush(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have a file or folder written to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows does not open folders
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with newlines as they are, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def remove_partials(folder: Path) -> None:
    """Remove what processes that were killed have left half written below a folder. Nobody may be writing there."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def no_room(error: BaseException) -> OSError | None:
    """The full disk, quota or largest file size behind an error, None where it is something else."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return cause
        cause = cause.__cause__
    return None
