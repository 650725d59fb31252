"""``facehall upscale``: pictures from file to file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facehall.cli.parser import LAYOUT, WEIGHTS, Commands, add_level, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

if TYPE_CHECKING:
    from facehall.inference import Job

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


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "upscale", help="make pictures larger", description=_UPSCALE, epilog=_EXAMPLES, **LAYOUT
    )
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
    which.add_argument("-w", "--weights", metavar="FILE", help=WEIGHTS).completer = weights_completer
    group.add_argument("--ensemble", action="store_true", help="the mean over 8 flips and rotations; 8 times the work")
    group.add_argument(
        "--fidelity", type=float, metavar="0-1", help="from sharp to faithful, where a run has both weights"
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 (auto)")
    group.add_argument(
        "--backend", default="auto", metavar="NAME", help="what computes the network: eager, bf16, openvino, … (auto)"
    )
    group.add_argument("--tile", default="auto", metavar="PIXELS", help="side of the parts computed at a time (auto)")
    add_level(parser)


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
        say(f"{len(found) - len(jobs)} of the pictures are results of an earlier run and are left out")
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
