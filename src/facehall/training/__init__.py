"""Training: the LightningModule, curriculum, averaged generator, callbacks and checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facehall.training.curriculum import Curriculum
    from facehall.training.module import SuperResolution

__all__ = ["Curriculum", "SuperResolution"]

_MODULES = {"Curriculum": "facehall.training.curriculum", "SuperResolution": "facehall.training.module"}


def __getattr__(name: str) -> Any:
    """Import on first access: commands that only look for runs need not import Lightning, which takes seconds."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
