"""``facehall export``: convert a network to ONNX, TorchScript or torch.export."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

_EXPORT = """\
Convert the network of a weights file to ONNX, TorchScript or torch.export, and verify it against the original.
"""

_EXPORTS = {".onnx": "onnx", ".pt": "torchscript", ".ts": "torchscript", ".pt2": "torch_export"}
_EXTENSIONS = ", ".join(f"{extension} {name}" for extension, name in _EXPORTS.items())


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "export", help="convert a network to ONNX, TorchScript or torch.export", description=_EXPORT, **PARSER_OPTIONS
    )
    parser.add_argument("weights", metavar="WEIGHTS", help=WEIGHTS).completer = weights_completer
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="file to write")
    parser.add_argument(
        "--format",
        choices=("onnx", "torchscript", "torch_export"),
        help="default: by the extension of OUTPUT: " + _EXTENSIONS,
    )
    add_verbosity(parser)
    parser.set_defaults(run=_export, interrupted_hint="Nothing was written.")


def _export(options: argparse.Namespace) -> None:
    from facehall.models.pretrained import weights_file

    kind = options.format or _EXPORTS.get(options.output.suffix.lower())
    if kind is None:
        raise FacehallError(
            f"{options.output}: unknown file extension. Give --format, or one of these extensions: {_EXTENSIONS}."
        )
    if options.output.exists():
        raise FacehallError(f"{options.output} already exists; nothing was written. Remove it, or choose another name.")
    from facehall.inference.export import export

    say(f"written: {export(weights_file(options.weights), options.output, kind)}")
