"""The command ``facehall``, for people who have pictures and want them larger: upscale, weights, export.

Nothing heavy is imported before the arguments are read, so that --help answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from facehall import __version__
from facehall.errors import INTERRUPTED, USER_MISTAKE, FacehallError

if TYPE_CHECKING:
    from facehall.inference import Job

_ABOUT = """\
Make pictures larger and sharp: 2, 3, 4 or 8 times, as the weights have it.

  facehall upscale photo.jpg -o large.png
  facehall weights
  facehall export generator_ema.safetensors generator.onnx
"""

_UPSCALE = """\
Make pictures larger. The originals are never changed, and nothing that is there already is overwritten unless
--overwrite is given. Transparency, greyscale, 16 bits a channel (in PNG), EXIF data and colour profiles are kept.
"""

_EXAMPLES = """\
examples:
  facehall upscale in.jpg                               writes in_x4.jpg beside it
  facehall upscale in.jpg -o out.png
  facehall upscale a.jpg b.png 'photos/*.png' -o out/   several pictures, and patterns; names stay
  facehall upscale folder/ -o out/ --skip-existing      a folder with its sub-folders; goes on where it stopped
  facehall upscale in.jpg --format webp --quality 90
  facehall upscale in.jpg --weights runs/NAME/TIME/weights/generator_ema.safetensors --compare
  facehall upscale in.jpg --ensemble                    a little better, 8 times as slow
  facehall upscale -o out.png -- -odd-name.jpg          after --, everything is a picture

exit status: 0; 2 if something could not be done, which is named at the end; 130 after Ctrl-C.
"""

_EXPORT = """\
Write the network of a weights file for other programs, and check it against the original.
"""

_WEIGHTS = "a weights file, or a name that `facehall weights` lists"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(_names_first(sys.argv[1:] if arguments is None else arguments))
    try:
        options.work(options)
    except FacehallError as error:
        return _complain(str(error), USER_MISTAKE)
    except KeyboardInterrupt:
        return _complain(f"interrupted. {options.interrupted}", INTERRUPTED)
    return 0


def _names_first(arguments: Sequence[str]) -> list[str]:
    """A shell's ``*.png`` may give ``-x.png``: what exists and has an ending is a picture and no option."""
    return [f"./{a}" if a.startswith("-") and Path(a).suffix and Path(a).exists() else a for a in arguments]


def _complain(paragraph: str, status: int) -> int:
    sys.stdout.flush()
    print(f"\nfacehall: {paragraph}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one paragraph, as everything here does, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_MISTAKE, f"\n{self.prog}: {message}. `{self.prog} --help` tells what there is.\n")


def _parser() -> argparse.ArgumentParser:
    layout: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = _Parser(prog="facehall", description=_ABOUT, **layout)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    upscale = commands.add_parser(
        "upscale", help="make pictures larger", description=_UPSCALE, epilog=_EXAMPLES, **layout
    )
    _upscale_arguments(upscale)
    listing = commands.add_parser("weights", help="list the weights that there are", **layout)
    listing.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where to look (runs)")
    listing.set_defaults(work=_list_weights, interrupted="")
    export = commands.add_parser("export", help="write a network for other programs", description=_EXPORT, **layout)
    export.add_argument("weights", metavar="WEIGHTS", help=_WEIGHTS)
    export.add_argument("output", type=Path, metavar="OUTPUT", help="the file to write")
    export.add_argument(
        "--format", choices=("onnx", "torchscript", "torch_export"), help="by OUTPUT's ending: " + _ENDS
    )
    export.set_defaults(work=_export, interrupted="Nothing was written.")
    return parser


_EXPORTS = {".onnx": "onnx", ".pt": "torchscript", ".ts": "torchscript", ".pt2": "torch_export"}
_ENDS = ", ".join(f"{ending} {name}" for ending, name in _EXPORTS.items())


def _upscale_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(
        work=_upscale, interrupted="The pictures that are written are whole; --skip-existing goes on with the others."
    )
    parser.add_argument("inputs", nargs="+", metavar="PICTURE", help="a picture, a folder of them, or a 'pattern*.jpg'")
    group = parser.add_argument_group("what is written")
    group.add_argument("-o", "--output", type=Path, metavar="PATH", help="a file for one picture, or a folder (beside)")
    group.add_argument("--format", default="same", choices=("same", "png", "jpg", "webp"), help="kind of file (same)")
    group.add_argument("--suffix", metavar="TEXT", help="put behind each name (_x4 beside the pictures; none with -o)")
    group.add_argument("--quality", type=int, metavar="1-100", help="of JPEG (95) and WebP (lossless)")
    group.add_argument("--compression", type=int, default=6, metavar="0-9", help="of PNG, from fast to small (6)")
    group.add_argument("--compare", action="store_true", help="a sheet of before and after beside each result")
    group.add_argument("--recursive", action=argparse.BooleanOptionalAction, default=True, help="sub-folders too (yes)")
    there = group.add_mutually_exclusive_group()
    there.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    there.add_argument("--skip-existing", action="store_true", help="leave them alone and do the others")
    group = parser.add_argument_group("how")
    which = group.add_mutually_exclusive_group()
    which.add_argument("-s", "--scale", type=int, metavar="N", help="4 (default), or 8: faces of about 16 pixels")
    which.add_argument("-w", "--weights", metavar="FILE", help=_WEIGHTS)
    group.add_argument("--ensemble", action="store_true", help="the mean over 8 flips and rotations; 8 times the work")
    group.add_argument(
        "--fidelity", type=float, metavar="0-1", help="from sharp to faithful, where a run has both weights"
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 (auto)")
    group.add_argument(
        "--backend", default="auto", metavar="NAME", help="what computes the network: eager, bf16, openvino, … (auto)"
    )
    group.add_argument("--tile", default="auto", metavar="PIXELS", help="side of the parts computed at a time (auto)")


def _upscale(options: argparse.Namespace) -> None:
    from facehall.imaging import check_quality
    from facehall.inference import Predictor
    from facehall.inference.batch import upscale_files
    from facehall.inference.plan import BESIDE, find, plan
    from facehall.models.pretrained import default_weights

    check_quality(options.quality, options.compression)
    tile = _tile(options.tile)
    found = find(options.inputs, options.recursive)
    suffix = options.suffix if options.suffix is not None else "" if options.output else BESIDE
    plan(found, options.output, suffix=suffix, kind=options.format)  # mistakes are told before the weights are loaded
    weights = options.weights or default_weights(4 if options.scale is None else options.scale)
    predictor = Predictor(weights, options.device, options.backend, tile, options.ensemble, options.fidelity)
    suffix = suffix.replace(BESIDE, f"_x{predictor.scale}")
    jobs = plan(found, options.output, suffix=suffix, kind=options.format)
    if len(jobs) < len(found):
        print(f"{len(found) - len(jobs)} of the pictures are results of an earlier run and are left out")
    if not (options.overwrite or options.skip_existing):
        _refuse_existing(jobs)
    written = {"quality": options.quality, "compression": options.compression}
    report = upscale_files(predictor, jobs, options.overwrite, options.compare, **written)
    where = f": {jobs[0].target}" if len(jobs) == 1 else f" to {options.output}" if options.output else ""
    report.tell(where, kept="--overwrite")


def _tile(given: str) -> int | str:
    try:
        return given if given == "auto" else int(given)
    except ValueError:
        raise FacehallError(f"--tile {given}: it is auto or a number of pixels.") from None


def _refuse_existing(jobs: Sequence[Job]) -> None:
    from facehall.inference.batch import exists

    there = [job.target for job in jobs if exists(job.target)]
    if there:
        more = f" and {len(there) - 1} more are" if len(there) > 1 else " is"
        raise FacehallError(
            f"{there[0]}{more} there already, and nothing was done. Give --skip-existing to leave such files alone, or "
            "--overwrite to replace them."
        )


def _list_weights(options: argparse.Namespace) -> None:
    from rich.console import Console

    from facehall.inference.picker import find_weights, table
    from facehall.models.pretrained import names, weights_file
    from facehall.models.weights import read_metadata

    for name in names():
        print(f"{name:22}{read_metadata(weights_file(name)).get('about', '')}")
    found = find_weights(options.runs)
    if found:
        console = Console()
        console = console if console.is_terminal else Console(width=200)  # a pipe has no width; 80 would break paths
        console.print(table(found), markup=False)
    else:
        print(
            f"\nThere are no other weights below {options.runs}/. Train some, python -m facehall.train "
            "experiment=esrgan_vgg16s, or give --runs DIR."
        )


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

    print(f"written: {export(weights_file(options.weights), options.output, kind)}")


if __name__ == "__main__":
    sys.exit(main())
