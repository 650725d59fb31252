"""``facehall dashboard``: save the layout of a W&B workspace or report."""

from __future__ import annotations

import argparse

from facehall.cli.parser import PARSER_OPTIONS, Commands, add_verbosity
from facehall.errors import FacehallError

_ABOUT = """\
Save a workspace in a W&B project whose panels show each measure with bicubic, then losses, health and pictures.
Needs a W&B key (wandb login) and the extra: pip install 'facehall[dashboard]'.
"""

MEASURES = ("psnr", "ssim", "lpips", "dists")
"""The default of --measures."""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "dashboard", help="lay out a W&B project's panels", description=_ABOUT, **PARSER_OPTIONS
    )
    parser.add_argument("--entity", required=True, metavar="NAME", help="W&B user or team")
    parser.add_argument("--project", default="facehall", metavar="NAME", help="W&B project (facehall)")
    parser.add_argument("--measures", nargs="+", default=list(MEASURES), metavar="NAME", help=f"({' '.join(MEASURES)})")
    parser.add_argument("--report", action="store_true", help="save a report with these panels instead of a workspace")
    add_verbosity(parser)
    parser.set_defaults(run=_dashboard, interrupted_hint="")


def _dashboard(options: argparse.Namespace) -> None:
    from facehall.metrics.judges import JUDGES
    from facehall.training.dashboard import report, workspace

    for name in options.measures:
        if name not in JUDGES:
            raise FacehallError(f"--measures {name}: unknown measure. Choose from {', '.join(JUDGES)}.")
    build = report if options.report else workspace
    built = build(options.entity, options.project, [JUDGES[name].measure for name in options.measures])
    try:
        built.save()
    except Exception as error:  # of W&B's client, or of the network
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FacehallError(
            f"W&B did not save it: {reason}. Log in (wandb login), and check --entity and --project."
        ) from None
    print(built.url)
