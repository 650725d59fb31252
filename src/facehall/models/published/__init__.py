"""Readers of the weights that the authors of a system published, one module per system.

A module NAME has a function ``read(path: Path) -> Generator``, which builds the network of those weights. Files are
read without unpickling code.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from facehall.errors import FacehallError
from facehall.models.generators import Generator


def published_names() -> list[str]:
    """Return the names of the systems whose published weights can be read."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load_published(name: str, path: Path) -> Generator:
    """Build the network of a weights file published by a system's authors; in eval mode, on the CPU.

    Args:
        name: one of `published_names`.
        path: the authors' file.

    Raises:
        FacehallError: the system is unknown, or the file is missing or holds something else.
    """
    if name not in published_names():
        known = ", ".join(published_names())
        raise FacehallError(f"{name}: no reader for published weights of this system (only {known}).")
    if not path.is_file():
        raise FacehallError(f"{path}: no such weights file.")
    generator: Generator = importlib.import_module(f"{__name__}.{name}").read(path)
    return generator.eval()


def split_published(given: str | Path) -> tuple[str, Path] | None:
    """Split READER:FILE, a file published by a system's authors; None for anything else, such as a plain path."""
    name, colon, file = str(given).partition(":")
    return (name, Path(file)) if colon and name in published_names() else None
