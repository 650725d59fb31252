"""What facehall says while it works: progress notes and warnings through `logging` to stderr, summary lines to stdout.

A module says something with ``logging.getLogger(__name__).info(...)``; where it goes and how much of it is shown is
decided here, by the commands alone. A program that imports facehall keeps its own logging settings.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from facehall.errors import FacehallError

ENVIRONMENT = "FACEHALL_LOG"
"""The variable that sets the level where a command has no option for it; worker processes and sweep jobs inherit it."""

LEVELS = {"quiet": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}

_LOGGER = logging.getLogger("facehall")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at that moment: progress bars and tests replace it."""

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
    """Send facehall's messages to stderr, one line each, from this level on. Calling it again changes the level.

    Args:
        level: ``quiet`` (warnings and errors only, no progress bars, no summary lines), ``info`` or ``debug`` (also
            the tracebacks behind one-paragraph errors). None: FACEHALL_LOG, or ``info`` where that is not set.

    Raises:
        FacehallError: there is no such level.
    """
    name = level or os.environ.get(ENVIRONMENT) or "info"
    if name not in LEVELS:
        raise FacehallError(f"{ENVIRONMENT}={name}: give {', '.join(LEVELS)}.")
    if not any(isinstance(handler, _Stderr) for handler in _LOGGER.handlers):
        handler = _Stderr()
        handler.setFormatter(_Format("facehall: %(message)s"))
        _LOGGER.addHandler(handler)
    _LOGGER.propagate = False  # Hydra gives the root logger a handler of its own, which would repeat everything
    _LOGGER.setLevel(LEVELS[name])


def is_quiet() -> bool:
    """Whether only warnings and errors are wanted: no progress bars and no summary lines."""
    return _LOGGER.level == LEVELS["quiet"]


def say(text: str) -> None:
    """Print a summary line on stdout, at once; nothing when only warnings and errors are wanted."""
    if not is_quiet():
        print(text, flush=True)
