"""``facehall page``: write the page as static files that restore photographs in the browser alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.io.logs import say

_PAGE = """\
Write a folder of static files with the page of `facehall serve` and a network in it, for any web server. Photographs
are restored in the visitor's browser and never leave it. Needs the extra onnx, and npm for the first time.
"""

_EXAMPLES = """\
examples:
  facehall page site && python -m http.server --directory site
  facehall page site -w facehall-x4 -w facehall-x8      sharper, five times as slow; a choice of scales
  facehall page site --no-webgpu                        27 MB smaller
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "page", help="write the page as static files", description=_PAGE, epilog=_EXAMPLES, **PARSER_OPTIONS
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write, new or empty")
    parser.add_argument(
        "-w", "--weights", action="append", metavar="FILE", help=f"{WEIGHTS} (facehall-x4_fast); may be repeated"
    ).completer = weights_completer
    parser.add_argument(
        "--webgpu", action=argparse.BooleanOptionalAction, default=True, help="the runtime for WebGPU too (yes)"
    )
    add_verbosity(parser)
    parser.set_defaults(run=_page, interrupted_hint="Remove the folder before the next try.")


def _page(options: argparse.Namespace) -> None:
    from facehall.models.pretrained import FAST_WEIGHTS
    from facehall.web.static_page import write_page

    say(f"written: {write_page(options.folder, options.weights or [FAST_WEIGHTS], options.webgpu)}")
