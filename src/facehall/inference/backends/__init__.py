"""What computes a generator: torch as it is, faster torch, or another engine with the same numbers."""

from facehall.inference.backends.base import Backend
from facehall.inference.backends.choice import NAMES, build, choose

__all__ = ["NAMES", "Backend", "build", "choose"]
