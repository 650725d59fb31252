"""``facehall upscale``: upscale image files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

_UPSCALE = """\
Upscale images. The originals are never changed, and existing files are overwritten only with --overwrite.
Transparency, greyscale, 16 bits per channel (in PNG), EXIF data and colour profiles are kept.
"""

_EXAMPLES = """\
examples:
  facehall upscale in.jpg                               writes in_x4.jpg next to it
  facehall upscale in.jpg -o out.png
  facehall upscale a.jpg b.png 'photos/*.png' -o out/   several images, and patterns; names are kept
  facehall upscale folder/ -o out/ --skip-existing      a folder with its sub-folders; resumes
  facehall upscale in.jpg --format webp --quality 90
  facehall upscale in.jpg --weights runs/NAME/TIME/weights/generator_ema.safetensors --compare
  facehall upscale in.jpg --ensemble                    slightly better, 8 times slower
  facehall upscale -o out.png -- -odd-name.jpg          everything after -- is an image

exit status: 0; 2 if any image failed (listed at the end); 130 after Ctrl-C.
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "upscale", help="upscale images", description=_UPSCALE, epilog=_EXAMPLES, **PARSER_OPTIONS
    )
    parser.set_defaults(
        run=_upscale,
        interrupted_hint="Images written so far are complete; run again with --skip-existing for the rest.",
    )
    parser.add_argument("inputs", nargs="+", metavar="IMAGE", help="an image, a folder of images, or a 'pattern*.jpg'")
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="a file for one image, or a folder (next to each input)"
    )
    group.add_argument("--format", default="same", choices=("same", "png", "jpg", "webp"), help="file format (same)")
    group.add_argument("--suffix", metavar="TEXT", help="appended to each name (_x4 next to the input; none with -o)")
    group.add_argument("--quality", type=int, metavar="1-100", help="quality of JPEG (95) and WebP (lossless)")
    group.add_argument("--compression", type=int, default=6, metavar="0-9", help="of PNG, from fast to small (6)")
    group.add_argument("--compare", action="store_true", help="also write a before/after sheet for each result")
    group.add_argument("--recursive", action=argparse.BooleanOptionalAction, default=True, help="sub-folders too (yes)")
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace existing results")
    existing.add_argument("--skip-existing", action="store_true", help="skip existing results")
    group = parser.add_argument_group("inference")
    group.add_argument(
        "-s", "--scale", type=int, metavar="N", help="4 (default), or 8: faces of about 16 pixels; selfexsr: also 2, 3"
    )
    group.add_argument("-w", "--weights", metavar="FILE", help=f"{WEIGHTS}, or selfexsr").completer = weights_completer
    group.add_argument("--ensemble", action="store_true", help="average over 8 flips and rotations; 8 times slower")
    group.add_argument(
        "--fidelity", type=float, metavar="0-1", help="from sharp (0) to faithful (1), where a run has both weights"
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 (auto)")
    group.add_argument(
        "--backend", default="auto", metavar="NAME", help="inference backend: eager, bf16, openvino, … (auto)"
    )
    group.add_argument("--tile", default="auto", metavar="PIXELS", help="tile side for large images (auto)")
    add_verbosity(parser)


def _upscale(options: argparse.Namespace) -> None:
    from facehall.imaging import check_quality
    from facehall.inference import Predictor
    from facehall.inference.batch import upscale_files
    from facehall.inference.plan import DEFAULT_SUFFIX, find_pictures, plan

    check_quality(options.quality, options.compression)
    tile = number_of_pixels(options.tile)
    found = find_pictures(options.inputs, options.recursive)
    suffix = options.suffix if options.suffix is not None else "" if options.output else DEFAULT_SUFFIX
    plan(found, options.output, suffix=suffix, kind=options.format)  # report errors before loading the weights
    predictor = Predictor(
        options.weights, options.device, options.backend, tile, options.ensemble, options.fidelity, options.scale
    )
    suffix = suffix.replace(DEFAULT_SUFFIX, f"_x{predictor.scale}")
    jobs = plan(found, options.output, suffix=suffix, kind=options.format)
    if len(jobs) < len(found):
        say(f"{len(found) - len(jobs)} of the images are results of an earlier run and are skipped")
    if not (options.overwrite or options.skip_existing):
        refuse_existing([job.target for job in jobs])
    written = {"quality": options.quality, "compression": options.compression}
    report = upscale_files(predictor, jobs, options.overwrite, options.compare, **written)
    where = f": {jobs[0].target}" if len(jobs) == 1 else f" to {options.output}" if options.output else ""
    report.print_summary(where, overwrite_option="--overwrite")
    if report.written == len(jobs) == 1 and (faces := _faces_to_restore(jobs[0].source)):
        say(f"{faces} found: `facehall restore` restores each at its own resolution and names the doubtful ones")


def number_of_pixels(given: str) -> int | str:
    """Return the value of --tile."""
    try:
        return given if given == "auto" else int(given)
    except ValueError:
        raise FacehallError(f"--tile {given}: give auto or a number of pixels.") from None


def refuse_existing(targets: Sequence[Path]) -> None:
    """Raise FacehallError if one of these exists."""
    from facehall.inference.batch import exists

    existing = [target for target in targets if exists(target)]
    if existing:
        already = f" and {len(existing) - 1} more already exist" if len(existing) > 1 else " already exists"
        raise FacehallError(
            f"{existing[0]}{already}; nothing was written. Give --skip-existing to skip such files, or --overwrite "
            "to replace them."
        )


HINT_SIDE = 640
"""Longer side of the reduced photograph in which faces are looked for."""
MAX_FACE = 0.35
"""Size of a face, relative to the shorter side, above which the picture is a portrait that needs no aligning."""


def _faces_to_restore(source: Path) -> str:
    """Return how many faces a photograph shows, if `facehall restore` is for it; a quick look.

    Nothing is downloaded for it, and whatever fails, the picture has been enlarged.
    """
    from facehall.assets import locate_wheel_file
    from facehall.assets.wheel_files import CENTERFACE
    from facehall.faces.centerface import CenterFace
    from facehall.faces.detection import find_quickly
    from facehall.imaging import read_rgb

    try:
        network = CenterFace(locate_wheel_file(CENTERFACE, network=False).path, "opencv")  # starts fastest
        rgb = read_rgb(source)
    except FacehallError:
        return ""
    faces = find_quickly(network, rgb, HINT_SIDE)
    if not faces or (len(faces) == 1 and faces[0].size > MAX_FACE * min(rgb.shape[:2])):
        return ""
    return "1 face" if len(faces) == 1 else f"{len(faces)} faces"
