"""Judges: each module declares measures and their computation. To add a measure, add a file; it is imported here."""

from importlib import import_module
from pkgutil import iter_modules

from facehall.metrics.judges.base import JUDGES, Judge, register

for _module in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

__all__ = ["JUDGES", "Judge", "register"]
