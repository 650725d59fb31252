"""The command ``facehall``: everything that facehall does, one sub-command for each thing.

Nothing heavy is imported before the arguments are read, so that --help and completion answer at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from facehall import __version__
from facehall.cli.parser import LAYOUT, Command, Parser, add_level
from facehall.config.plugins import import_plugins
from facehall.errors import INTERRUPTED, USER_MISTAKE, FacehallError
from facehall.io.logs import configure

_log = logging.getLogger(__name__)

_ABOUT = """\
Face super-resolution. For pictures:

  facehall upscale photo.jpg -o large.png    make pictures larger and sharp: 2, 3, 4 or 8 times, as the weights have it
  facehall weights                           list the weights
  facehall export FILE generator.onnx        write a network for other programs

For research; each is also python -m facehall.COMMAND, and takes settings as KEY=VALUE:

  facehall train experiment=esrgan_vgg16s
  facehall evaluate weights=FILE data=images data.root=DIR
"""

COMMANDS = (
    *("upscale", "weights", "export"),
    *("train", "evaluate", "predict", "sweep"),
    *("check", "mine", "download", "assets", "completion"),
)
"""Modules of cli/commands/, in the order in which --help lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could be typed next
        import argcomplete

        argcomplete.autocomplete(parser)
    options = parser.parse_args(_names_first(sys.argv[1:] if arguments is None else arguments))
    try:
        configure(getattr(options, "level", None))
        import_plugins()  # those of the environment; a config names its own
        status = options.work(options)
    except FacehallError as error:
        _log.debug("the whole error:", exc_info=True)
        return _complain(str(error), USER_MISTAKE)
    except KeyboardInterrupt:
        return _complain(f"interrupted. {options.interrupted}", INTERRUPTED)
    return int(status or 0)


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="facehall", description=_ABOUT, **LAYOUT)
    parser.add_argument("--version", action="version", version=__version__)
    add_level(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        module: Command = importlib.import_module(f"facehall.cli.commands.{name}")
        module.add(commands)
    return parser


def _names_first(arguments: Sequence[str]) -> list[str]:
    """A shell's ``*.png`` may give ``-x.png``: what exists and has an ending is a picture and no option."""
    return [f"./{a}" if a.startswith("-") and Path(a).suffix and Path(a).exists() else a for a in arguments]


def _complain(paragraph: str, status: int) -> int:
    sys.stdout.flush()
    print(f"\nfacehall: {paragraph}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
