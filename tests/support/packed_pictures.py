"""Archives of pictures for a test server, and a killable process that fetches them."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import zipfile
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from facehall.data.sources.archives import Archive, fetch


def pack(pictures: dict[str, bytes], inside: str) -> bytes:
    """Zip the pictures in a folder, with the extra files that some programs add."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{inside}/", b"")
        for name, data in pictures.items():
            packed.writestr(f"{inside}/{name}", data)
            packed.writestr(f"__MACOSX/{inside}/._{name}", b"Mac OS X")
    return buffer.getvalue()


def describe(file: str, packed: bytes, folder: str, pictures: Sequence[str]) -> Archive:
    return Archive(file, len(packed), hashlib.sha256(packed).hexdigest(), folder, tuple(pictures))


def contents(root: Path) -> dict[str, bytes]:
    """Return all files below a folder, and all empty folders."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def start_fetching(archives: list[Archive], root: Path, origin: str) -> BaseProcess:
    """Start fetching in a child process; via a fork server, because this process runs web server threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["facehall.data.sources.archives"])
    process = context.Process(target=fetch, args=(archives, root, origin))
    process.start()
    return process
