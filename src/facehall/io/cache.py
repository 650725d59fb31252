"""Where everything that is fetched or computed once for all runs is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """FACEHALL_CACHE, else $XDG_CACHE_HOME/facehall, else ~/.cache/facehall; not created here."""
    if folder := os.environ.get("FACEHALL_CACHE"):
        return Path(folder).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "facehall"
