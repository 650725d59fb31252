"""Readers of the weights that the authors of a system published, one module per system.

A module NAME has a function ``read(path: Path) -> Generator``, which builds the network of those weights; one whose
weights serve several scales also takes ``scale``. Systems of other rooms add their function to `READERS`. Files are
read without unpickling code.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

from facehall.errors import FacehallError
from facehall.models.generators import Generator

READERS: dict[str, Callable[[Path], Generator]] = {}
"""The readers of systems that are not networks, added by their room when it is imported."""


def published_names() -> list[str]:
    """Return the names of the systems whose published weights can be read."""
    own = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return sorted({*own, *READERS})


def load_published(name: str, path: Path, scale: int | None = None) -> Generator:
    """Build the network of a weights file published by a system's authors; in eval mode, on the CPU.

    Args:
        name: one of `published_names`.
        path: the authors' file.
        scale: the scale that is wanted; None: the file's own, or the reader's default.

    Raises:
        FacehallError: the system is unknown, or the file is missing or of something else or of another scale.
    """
    if name not in published_names():
        known = ", ".join(published_names())
        raise FacehallError(f"{name}: no reader for published weights of this system (only {known}).")
    if not path.is_file():
        raise FacehallError(f"{path}: no such weights file.")
    read = READERS.get(name) or importlib.import_module(f"{__name__}.{name}").read
    chosen = {} if scale is None or "scale" not in inspect.signature(read).parameters else {"scale": scale}
    generator: Generator = read(path, **chosen)
    if scale not in (None, generator.scale):
        raise FacehallError(f"{path}: these are weights of {name} for x{generator.scale}, not for x{scale}.")
    return generator.eval()
