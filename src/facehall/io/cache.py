"""Location of the cache for downloads and results shared by all runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return FACEHALL_CACHE, else $XDG_CACHE_HOME/facehall, else ~/.cache/facehall, without creating it."""
    if folder := os.environ.get("FACEHALL_CACHE"):
        return Path(folder).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "facehall"
