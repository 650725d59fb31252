"""The command line ``facehall`` and its sub-commands.

Nothing heavy is imported before the arguments are parsed, so that --help and completion are fast.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from facehall import __version__
from facehall.cli.parser import PARSER_OPTIONS, Command, Parser, add_verbosity
from facehall.config.plugins import import_plugins
from facehall.errors import INTERRUPTED, USER_ERROR, FacehallError
from facehall.io.logs import configure

_log = logging.getLogger(__name__)

_ABOUT = """\
Face super-resolution. For images:

  facehall upscale photo.jpg -o large.png    upscale images: x2, x3, x4 or x8, depending on the weights
  facehall restore group.jpg                 find the faces in photographs, restore and paste them
  facehall serve                             the same in a browser, on this machine
  facehall page DIR                          that page as static files, with the network in it
  facehall weights                           list available weights
  facehall export FILE generator.onnx        convert a network to ONNX, TorchScript and others

For research; each is also available as python -m facehall.COMMAND, with settings as KEY=VALUE:

  facehall train experiment=esrgan_vgg16s
  facehall evaluate weights=FILE data=images data.root=DIR
  facehall compare set=set5,set14,faces root=DATA scale=4
"""

COMMANDS = (
    *("upscale", "restore", "serve", "page", "weights", "export"),
    *("train", "fit", "evaluate", "compare", "predict", "sweep"),
    *("check", "annotate", "mine", "download", "assets", "dashboard", "completion"),
)
"""Modules of cli/commands/, in the order of --help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # called by shell completion
        import argcomplete

        argcomplete.autocomplete(parser)
    options = parser.parse_args(_escape_filenames(sys.argv[1:] if arguments is None else arguments))
    try:
        configure(getattr(options, "level", None))
        import_plugins()  # from the environment; a config lists its own
        status = options.run(options)
    except FacehallError as error:
        _log.debug("full traceback:", exc_info=True)
        return _print_error(str(error), USER_ERROR)
    except KeyboardInterrupt:
        return _print_error(f"interrupted. {options.interrupted_hint}", INTERRUPTED)
    return int(status or 0)


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(prog="facehall", description=_ABOUT, **PARSER_OPTIONS)
    parser.add_argument("--version", action="version", version=__version__)
    add_verbosity(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        module: Command = importlib.import_module(f"facehall.cli.commands.{name}")
        module.add(commands)
    return parser


def _escape_filenames(arguments: Sequence[str]) -> list[str]:
    """Prefix existing files such as ``-x.png`` (from a shell's ``*.png``) with ``./``, so they are not options."""
    return [f"./{a}" if a.startswith("-") and Path(a).suffix and Path(a).exists() else a for a in arguments]


def _print_error(paragraph: str, status: int) -> int:
    sys.stdout.flush()
    print(f"\nfacehall: {paragraph}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
