"""``facehall restore``: restore the faces in photographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.commands.upscale import number_of_pixels, refuse_existing
from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.errors import FacehallError

_RESTORE = """\
Find the faces in photographs, restore each at its own resolution, and paste them back. The originals are
never changed, and existing files are overwritten only with --overwrite. Transparency, greyscale, 16 bits per
channel (in PNG), EXIF data and colour profiles are kept. Faces that are too small or uncertain, and
small profiles, are left or restored with the faithful weights, and named; those that a recogniser finds
changed are restored less sharply.

A restored face shows what is likely, not what was there: it is no evidence of who is in a photograph.
"""

_EXAMPLES = """\
examples:
  facehall restore group.jpg                            writes group_restored.jpg, four times as large
  facehall restore old.jpg --scale 1                    same size: for large photographs with soft faces
  facehall restore group.jpg --draw --report faces.json which faces were found, and what was done with each
  facehall restore group.jpg --faces 3 --fidelity 0.5   the three largest, less sharp and more faithful
  facehall restore group.jpg --background fast          let a small network enlarge everything else
  facehall restore group.jpg --faces-only faces/        only the aligned faces, to be edited …
  facehall restore group.jpg --paste faces/             … and pasted

exit status: 0; 2 if any photograph failed (listed at the end); 130 after Ctrl-C.
"""

SUFFIX = "_restored"


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "restore", help="restore the faces in photographs", description=_RESTORE, epilog=_EXAMPLES, **PARSER_OPTIONS
    )
    parser.set_defaults(
        run=_restore,
        interrupted_hint="Photographs written so far are complete; run again with --skip-existing for the rest.",
    )
    parser.add_argument("inputs", nargs="+", metavar="PHOTO", help="an image, a folder of images, or a 'pattern*.jpg'")
    group = parser.add_argument_group("faces")
    group.add_argument(
        "--faces", default="all", metavar="WHICH", help="all, largest, none, or how many of the largest (all)"
    )
    group.add_argument("--min-face", type=float, default=0.0, metavar="PIXELS", help="leave smaller faces (0)")
    group.add_argument(
        "--fidelity", type=float, metavar="0-1", help="from sharp (0) to faithful (1), where the weights have both"
    )
    group.add_argument(
        "--checked",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="place faces by MediaPipe's mesh, replace those that dlib's recogniser finds less like the input (yes)",
    )
    group.add_argument("--consistent", action="store_true", help="change nothing that the input shows: back-projection")
    exchange = group.add_mutually_exclusive_group()
    exchange.add_argument(
        "--faces-only", type=Path, metavar="DIR", help="write the restored faces, aligned, and no photographs"
    )
    exchange.add_argument(
        "--paste", type=Path, metavar="DIR", help="paste faces that --faces-only wrote, as they are now"
    )
    group.add_argument("--report", type=Path, metavar="FILE", help="write boxes, points and what was done as JSON")
    group.add_argument("--draw", action="store_true", help="also write each photograph with its faces marked")
    group = parser.add_argument_group("output")
    group.add_argument("-s", "--scale", type=int, default=4, metavar="N", help="1, 2, 4 or 8 (4)")
    group.add_argument(
        "--background",
        choices=("weights", "fast", "bicubic", "none"),
        help="fast: by a small network, in seconds; weights: as the faces, in minutes (bicubic; none at --scale 1)",
    )
    group.add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="a file for one photograph, or a folder (next to each input)"
    )
    group.add_argument("--format", default="same", choices=("same", "png", "jpg", "webp"), help="file format (same)")
    group.add_argument(
        "--suffix", metavar="TEXT", help=f"appended to each name ({SUFFIX} next to the input; none with -o)"
    )
    group.add_argument("--quality", type=int, metavar="1-100", help="quality of JPEG (95) and WebP (lossless)")
    group.add_argument("--compression", type=int, default=6, metavar="0-9", help="of PNG, from fast to small (6)")
    group.add_argument("--recursive", action=argparse.BooleanOptionalAction, default=True, help="sub-folders too (yes)")
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace existing results")
    existing.add_argument("--skip-existing", action="store_true", help="skip existing results")
    group = parser.add_argument_group("inference")
    group.add_argument("-w", "--weights", metavar="FILE", help=WEIGHTS).completer = weights_completer
    group.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 (auto)")
    group.add_argument("--backend", default="auto", metavar="NAME", help="inference backend: eager, openvino, … (auto)")
    group.add_argument(
        "--tile", default="auto", metavar="PIXELS", help="tile side for large faces and backgrounds (auto)"
    )
    add_verbosity(parser)


def _restore(options: argparse.Namespace) -> None:
    from facehall.imaging import check_quality
    from facehall.inference.face_files import index_file
    from facehall.inference.photograph_files import restore_files
    from facehall.inference.photographs import PhotoRestorer
    from facehall.inference.plan import find_pictures, plan
    from facehall.inference.restoration.judging import load_helpers

    check_quality(options.quality, options.compression)
    if options.faces_only is not None and options.output is not None:
        raise FacehallError("--faces-only writes faces and no photographs: give no --output.")
    found = find_pictures(options.inputs, options.recursive)
    suffix = options.suffix if options.suffix is not None else "" if options.output else SUFFIX
    jobs = plan(found, options.output, suffix=suffix, kind=options.format)  # report errors before loading the weights
    if not (options.overwrite or options.skip_existing):
        folder = options.faces_only
        refuse_existing([job.target if folder is None else index_file(folder, job.source) for job in jobs])
    restorer = PhotoRestorer(
        options.weights,
        options.device,
        options.backend,
        number_of_pixels(options.tile),
        options.fidelity,
        options.scale,
        options.background,
        options.faces,
        options.min_face,
        options.consistent,
        **(load_helpers() if options.checked and options.paste is None else {}),
    )
    written = {"quality": options.quality, "compression": options.compression}
    results = restore_files(
        restorer, jobs, options.overwrite, options.draw, options.faces_only, options.paste, **written
    )
    if options.report is not None:
        results.write_json(options.report)
    where = options.faces_only or options.output
    at = f": {jobs[0].target}" if len(jobs) == 1 and options.faces_only is None else f" to {where}" if where else ""
    results.print_summary(at, overwrite_option="--overwrite")
