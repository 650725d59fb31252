"""Weights by name: the one place that knows which there are besides people's own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

NAMED: Mapping[str, Callable[[], Path]] = {}
"""A name and what gives the file: in the package, or fetched and verified. Training writes the others."""


def weights_file(given: str | Path) -> Path:
    """The file of a name in NAMED; anything else is the path of a file."""
    return NAMED[str(given)]() if str(given) in NAMED else Path(given)
