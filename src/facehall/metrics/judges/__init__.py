"""The judges: every module of this package declares measures and how they are computed. A new file is a new measure."""

from importlib import import_module
from pkgutil import iter_modules

from facehall.metrics.judges.base import JUDGES, Judge, register

for _module in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

__all__ = ["JUDGES", "Judge", "register"]
