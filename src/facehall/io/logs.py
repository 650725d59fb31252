"""Console output: progress messages and warnings through `logging` to stderr, summary lines to stdout.

Modules log with ``logging.getLogger(__name__).info(...)``. Only the commands call `configure`; a program that imports
facehall keeps its own logging settings.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from facehall.errors import FacehallError

LEVEL_VARIABLE = "FACEHALL_LOG"
"""Environment variable with the level for commands without an option; inherited by workers and sweep jobs."""

LEVELS = {"quiet": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}

_LOGGER = logging.getLogger("facehall")


class _Stderr(logging.StreamHandler[TextIO]):
    """A handler that looks up sys.stderr on every write, because progress bars and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("this handler always writes to sys.stderr")


class _Format(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"[{record.name.removeprefix('facehall.')}] {text}" if record.levelno <= logging.DEBUG else text


def configure(level: str | None = None) -> None:
    """Log facehall's messages of at least this level to stderr, one line each. Another call changes the level.

    Args:
        level: ``quiet`` (warnings and errors only, no progress bars, no summary lines), ``info`` or ``debug`` (also
            the tracebacks of one-paragraph errors). None: FACEHALL_LOG, or ``info`` if that is not set.

    Raises:
        FacehallError: if the level is unknown.
    """
    name = level or os.environ.get(LEVEL_VARIABLE) or "info"
    if name not in LEVELS:
        raise FacehallError(f"{LEVEL_VARIABLE}={name}: unknown level; choose one of {', '.join(LEVELS)}.")
    if not any(isinstance(handler, _Stderr) for handler in _LOGGER.handlers):
        handler = _Stderr()
        handler.setFormatter(_Format("facehall: %(message)s"))
        _LOGGER.addHandler(handler)
    _LOGGER.propagate = False  # Hydra adds a handler to the root logger, which would repeat every message
    _LOGGER.setLevel(LEVELS[name])


def is_quiet() -> bool:
    """Return whether the level is ``quiet``: no progress bars and no summary lines."""
    return _LOGGER.level == LEVELS["quiet"]


def say(text: str) -> None:
    """Print a summary line on stdout and flush; print nothing if the level is ``quiet``."""
    if not is_quiet():
        print(text, flush=True)
