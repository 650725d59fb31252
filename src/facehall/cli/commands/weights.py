"""``facehall weights``: list the weights in the package and in earlier runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from facehall.cli.parser import PARSER_OPTIONS, Commands, add_verbosity


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("weights", help="list available weights", **PARSER_OPTIONS)
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder to search (runs)")
    add_verbosity(parser)
    parser.set_defaults(run=_list_weights, interrupted_hint="")


def _list_weights(options: argparse.Namespace) -> None:
    from rich.console import Console

    from facehall.inference.picker import find_weights, table
    from facehall.models.pretrained import bundled_names, weights_file
    from facehall.models.weights import read_metadata

    for name in bundled_names():
        print(f"{name:22}{read_metadata(weights_file(name)).get('about', '')}")
    found = find_weights(options.runs)
    if found:
        console = Console()
        console = console if console.is_terminal else Console(width=200)  # the default of 80 would break paths
        console.print(table(found), markup=False)
    else:
        print(
            f"\nNo other weights found below {options.runs}/. Train a network (python -m facehall.train "
            "experiment=esrgan_vgg16s), or give --runs DIR."
        )
