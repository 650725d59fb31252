"""The argument parser shared by all commands: one-line errors, verbosity options, and the `Command` interface."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from facehall.errors import USER_ERROR

Commands = Any
"""The return type of argparse's add_subparsers, which has no public name."""

PARSER_OPTIONS: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}

WEIGHTS = "a weights file, or a name listed by `facehall weights`"

QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")


class Command(Protocol):
    """A module of cli/commands/; it imports nothing heavy before the command runs, so that --help is fast."""

    def add(self, commands: Commands) -> None:
        """Add the command's parser, with the defaults `run` (a function of the options) and `interrupted_hint` (printed
        after "interrupted." on Ctrl-C).
        """


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports errors in one paragraph instead of printing the usage.

    Attributes:
        extra_help: returns the text appended to --help.
        forwards_arguments: store all arguments except --help, --quiet and --verbose unparsed in `overrides`, for Hydra.
    """

    extra_help: Callable[[], str] | None = None
    forwards_arguments = False

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"\n{self.prog}: {message}. See `{self.prog} --help`.\n")

    def format_help(self) -> str:
        if self.extra_help is not None:
            self.epilog = self.extra_help()
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.forwards_arguments or "_ARGCOMPLETE" in os.environ:  # shell completion needs the regular parsing
            return super().parse_known_args(args, namespace)
        own: list[str] = []
        overrides: list[str] = []
        for argument in args:
            (own if argument in ("-h", "--help", *QUIET, *VERBOSE) else overrides).append(argument)
        options, _ = super().parse_known_args(own, namespace)
        options.overrides = overrides
        return options, []


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --verbose, which set `level` (see facehall.io.logs)."""
    group = parser.add_argument_group("verbosity").add_mutually_exclusive_group()
    shared: dict[str, Any] = {"action": "store_const", "dest": "level", "default": argparse.SUPPRESS}
    group.add_argument(*QUIET, const="quiet", help="warnings and errors only: no progress bars, no summary", **shared)
    group.add_argument(*VERBOSE, const="debug", help="more details, and the full traceback of errors", **shared)


def weights_completer(**unused: Any) -> list[str]:
    """Return the names of the bundled weights for shell completion, without importing torch."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "weights").glob("*.safetensors"))
