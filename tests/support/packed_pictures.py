"""Archives of pictures for a test server, and a killable process that fetches them."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from preloaded import Preloaded, Server

from facehall.data.sources.archives import Archive

FETCH = """
import json, os, sys
from pathlib import Path
from facehall.data.sources.archives import Archive, fetch
archives, root, origin = sys.argv[1:]
fetch([Archive(**{**each, "pictures": tuple(each["pictures"])}) for each in json.loads(archives)], Path(root), origin)
os._exit(0)
"""


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


def start_fetching(preloaded: Server, archives: list[Archive], root: Path, origin: str) -> Preloaded:
    """Start fetching in a process of its own."""
    described = json.dumps([asdict(archive) for archive in archives])
    return preloaded.popen([sys.executable, "-c", FETCH, described, str(root), origin])
