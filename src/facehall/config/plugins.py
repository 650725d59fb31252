"""Packages of a user's own whose classes configs may build: ``plugins: [my_sr]``, or FACEHALL_PLUGINS=my_sr."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence

from facehall.errors import FacehallError

VARIABLE = "FACEHALL_PLUGINS"
"""Names packages, separated by commas, for every command, also those that compose no config (facehall upscale)."""

_imported: set[str] = set()


def import_plugins(names: Sequence[str] = ()) -> None:
    """Import packages, so that their networks are known to weights files and configs may build their classes.

    Only a config or the environment, which are the user's own, name packages: a weights or data file never does.

    Args:
        names: package names, besides those of the environment.

    Raises:
        FacehallError: a package is not there, or does not import.
    """
    for name in [*names, *filter(None, re.split(r"[,\s]+", os.environ.get(VARIABLE, "")))]:
        if not all(part.isidentifier() for part in str(name).split(".")):
            raise FacehallError(f"plugins: {name!r} is not the name of a Python package.")
        try:
            importlib.import_module(str(name))
        except ImportError as error:
            raise FacehallError(
                f"plugins: the package {name} cannot be imported ({error}). Install it, or add its folder to "
                "PYTHONPATH."
            ) from error
        _imported.add(str(name))


def allowed_prefixes() -> tuple[str, ...]:
    """The prefixes of targets in the packages that were imported as plugins."""
    return tuple(f"{name}." for name in sorted(_imported))
