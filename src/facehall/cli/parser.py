"""What all commands' arguments share: one-line errors, how much is told, and the shape of a command's file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from facehall.errors import USER_MISTAKE

Commands = Any
"""What argparse's add_subparsers returns; its class has no public name."""

LAYOUT: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}

WEIGHTS = "a weights file, or a name that `facehall weights` lists"

QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")


class Command(Protocol):
    """A module of cli/commands/: nothing heavy is imported before its work begins, so that --help answers at once."""

    def add(self, commands: Commands) -> None:
        """Add the command's parser, with the defaults `work` (a function of the options) and `interrupted` (what the
        user is told behind "interrupted." after Ctrl-C).
        """


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one paragraph instead of the whole usage.

    Attributes:
        more_help: what follows in --help, made when it is asked for.
        passes_on: all arguments but --help, --quiet and --verbose are put as they are into `overrides`, for Hydra.
    """

    more_help: Callable[[], str] | None = None
    passes_on = False

    def error(self, message: str) -> NoReturn:
        self.exit(USER_MISTAKE, f"\n{self.prog}: {message}. `{self.prog} --help` shows the usage.\n")

    def format_help(self) -> str:
        if self.more_help is not None:
            self.epilog = self.more_help()
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.passes_on or "_ARGCOMPLETE" in os.environ:  # the shell's completion looks into the parsing
            return super().parse_known_args(args, namespace)
        own: list[str] = []
        overrides: list[str] = []
        for argument in args:
            (own if argument in ("-h", "--help", *QUIET, *VERBOSE) else overrides).append(argument)
        options, _ = super().parse_known_args(own, namespace)
        options.overrides = overrides
        return options, []


def add_level(parser: argparse.ArgumentParser) -> None:
    """Add --quiet and --verbose, which set `level` (see facehall.io.logs)."""
    group = parser.add_argument_group("what it says").add_mutually_exclusive_group()
    shared: dict[str, Any] = {"action": "store_const", "dest": "level", "default": argparse.SUPPRESS}
    group.add_argument(*QUIET, const="quiet", help="warnings and errors only: no bars, no summary", **shared)
    group.add_argument(*VERBOSE, const="debug", help="details too, and the traceback behind an error", **shared)


def weights_completer(**unused: Any) -> list[str]:
    """The names of the weights in the package, for the shell; torch is not needed to find them."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "weights").glob("*.safetensors"))
