"""User packages whose classes configs may build: ``plugins: [my_sr]``, or FACEHALL_PLUGINS=my_sr."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence

from facehall.errors import FacehallError

ENVIRONMENT_VARIABLE = "FACEHALL_PLUGINS"
"""Comma-separated package names for every command, also those without a config (facehall upscale)."""

_imported: set[str] = set()


def import_plugins(names: Sequence[str] = ()) -> None:
    """Import packages, so that weights files may contain their networks and configs may build their classes.

    Only the user's config and environment name packages; weights and data files never do.

    Args:
        names: package names, in addition to those in the environment.

    Raises:
        FacehallError: a package is missing, or cannot be imported.
    """
    for name in [*names, *filter(None, re.split(r"[,\s]+", os.environ.get(ENVIRONMENT_VARIABLE, "")))]:
        if not all(part.isidentifier() for part in str(name).split(".")):
            raise FacehallError(f"plugins: {name!r} is not a valid name of a Python package.")
        try:
            importlib.import_module(str(name))
        except ImportError as error:
            raise FacehallError(
                f"plugins: the package {name} cannot be imported ({error}). Install it, or add its folder to "
                "PYTHONPATH."
            ) from error
        _imported.add(str(name))


def allowed_prefixes() -> tuple[str, ...]:
    """Return the target prefixes of the packages imported as plugins."""
    return tuple(f"{name}." for name in sorted(_imported))
