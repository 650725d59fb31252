"""Cache of converted networks, because conversion takes seconds and loading does not."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from facehall import __version__
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir
from facehall.models.generators import Generator


def graph_path(generator: Generator, suffix: str, *versions: str) -> Path:
    """Return the cache path of a conversion; its name is a hash of architecture, weights and converter versions."""
    what = [type(generator).__name__, generator.arguments, __version__, torch.__version__, *versions]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    for name, value in generator.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return cache_dir() / "backends" / f"{digest.hexdigest()[:32]}{suffix}"


def cached(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content of `path`; create it with `make` if the file is missing.

    If the folder is not writable, the content is created again each time.
    """
    if path.is_file():
        return path.read_bytes()
    content = make()
    with contextlib.suppress(OSError), replacing(path) as partial:
        partial.write_bytes(content)
    return content
