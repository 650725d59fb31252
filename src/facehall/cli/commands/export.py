"""``facehall export``: a network for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import LAYOUT, WEIGHTS, Commands, add_level, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

_EXPORT = """\
Write the network of a weights file for other programs, and check it against the original.
"""

_EXPORTS = {".onnx": "onnx", ".pt": "torchscript", ".ts": "torchscript", ".pt2": "torch_export"}
_ENDS = ", ".join(f"{ending} {name}" for ending, name in _EXPORTS.items())


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("export", help="write a network for other programs", description=_EXPORT, **LAYOUT)
    parser.add_argument("weights", metavar="WEIGHTS", help=WEIGHTS).completer = weights_completer
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the file to write")
    parser.add_argument(
        "--format", choices=("onnx", "torchscript", "torch_export"), help="by OUTPUT's ending: " + _ENDS
    )
    add_level(parser)
    parser.set_defaults(work=_export, interrupted="Nothing was written.")


def _export(options: argparse.Namespace) -> None:
    from facehall.models.pretrained import weights_file

    kind = options.format or _EXPORTS.get(options.output.suffix.lower())
    if kind is None:
        raise FacehallError(
            f"{options.output}: its ending does not tell the format. Give --format, or one of: {_ENDS}."
        )
    if options.output.exists():
        raise FacehallError(
            f"{options.output} is there already, and nothing was done. Remove it, or give another name."
        )
    from facehall.inference.export import export

    say(f"written: {export(weights_file(options.weights), options.output, kind)}")
