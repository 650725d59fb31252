"""Training: the LightningModule, curriculum, averaged generator, callbacks and checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facehall.training.curriculum import Curriculum
    from facehall.training.module import SuperResolution

__all__ = ["Curriculum", "SuperResolution"]

_HOMES = {"Curriculum": "facehall.training.curriculum", "SuperResolution": "facehall.training.module"}


def __getattr__(name: str) -> Any:
    """Import late: commands that look for runs need this package, but not Lightning, which takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
