"""``facehall weights``: the weights of the package and of earlier runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import LAYOUT, Commands, add_level


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("weights", help="list the weights that there are", **LAYOUT)
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where to look (runs)")
    add_level(parser)
    parser.set_defaults(work=_list_weights, interrupted="")


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
