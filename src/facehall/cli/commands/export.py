"""``facehall export``: convert a network to ONNX, TorchScript, torch.export, an ESRGAN checkpoint or a Hub folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

_EXPORT = """\
Convert the network of a weights file, and verify the result against the original.

  facehall export facehall-x4 net.onnx             ONNX; by extension also TorchScript (.pt) and torch.export (.pt2)
  facehall export rrdb.safetensors net.pth         an RRDBNet as an ESRGAN checkpoint, for programs that read these
  facehall export facehall-x4 my-x4 --format hub   a folder for the Hugging Face Hub: config.json, weights and a card
"""

_EXPORTS = {
    ".onnx": "onnx",
    ".pt": "torchscript",
    ".ts": "torchscript",
    ".pt2": "torch_export",
    ".pth": "esrgan",
}
_HUB = "hub"
_EXTENSIONS = ", ".join(f"{extension} {name}" for extension, name in _EXPORTS.items())


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "export", help="convert a network to ONNX, TorchScript and others", description=_EXPORT, **PARSER_OPTIONS
    )
    parser.add_argument("weights", metavar="WEIGHTS", help=WEIGHTS).completer = weights_completer
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="file to write, or folder for hub")
    parser.add_argument(
        "--format",
        choices=(*dict.fromkeys(_EXPORTS.values()), _HUB),
        help="default: by the extension of OUTPUT: " + _EXTENSIONS,
    )
    add_verbosity(parser)
    parser.set_defaults(run=_export, interrupted_hint="Nothing was written.")


def _export(options: argparse.Namespace) -> None:
    kind = options.format or _EXPORTS.get(options.output.suffix.lower())
    if kind is None:
        raise FacehallError(
            f"{options.output}: unknown file extension. Give --format, or one of these extensions: {_EXTENSIONS}."
        )
    if options.output.exists():
        raise FacehallError(f"{options.output} already exists; nothing was written. Remove it, or choose another name.")
    from facehall.models.pretrained import weights_file

    weights = weights_file(options.weights)
    if kind == _HUB:
        from facehall.inference.hub import export_folder

        written = export_folder(weights, options.output)
    else:
        from facehall.inference.export import export

        written = export(weights, options.output, kind)
    say(f"written: {written}")
