"""``facehall assets``, also ``python -m facehall.assets``: which pretrained weights are here, and fetch the others."""

from __future__ import annotations

import argparse

from facehall.cli.parser import LAYOUT, Commands, add_level
from facehall.errors import FacehallError

_DESCRIPTION = """\
The LPIPS metric (AlexNet, VGG16) and the loss vgg16 (VGG16) need weights trained on ImageNet;
the default loss, vgg16s, comes with the package.
Without an argument this lists which of them are on this machine, and does not ask the network.
`fetch` gets those that are missing, so that later runs need no network: do that on a login node,
or in the image that compute nodes start from.
"""

_ENVIRONMENT = """\
environment:
  FACEHALL_WEIGHTS   a folder with your own copies: vgg16.safetensors or vgg16-397923af.pth,
                     alexnet.safetensors or alexnet-owt-7be5be79.pth
  FACEHALL_CACHE     where fetched files are kept (default: $XDG_CACHE_HOME/facehall, else ~/.cache/facehall)
  FACEHALL_OFFLINE   1: never ask the network

exit status: 0, or 2 if weights could not be had
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "assets", help="list or fetch pretrained weights", description=_DESCRIPTION, epilog=_ENVIRONMENT, **LAYOUT
    )
    add_level(parser)
    parser.set_defaults(work=_assets, interrupted="What has come is kept; the same command goes on from there.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    add_level(actions.add_parser("list", help="list the weights and where they are (the default)", **LAYOUT))
    fetch = actions.add_parser("fetch", help="get missing weights into the cache", **LAYOUT)
    fetch.add_argument("names", nargs="*", metavar="NAME", help="of the weights, as the list has them (all)")
    add_level(fetch)


def _assets(options: argparse.Namespace) -> None:
    from facehall.assets.registry import ASSETS, get_asset

    fetch = options.action == "fetch"
    names = list(getattr(options, "names", [])) or list(ASSETS)
    for name in names:
        get_asset(name)  # a mistyped name is better found before the first download
    _print_table([_row(name, fetch=fetch) for name in names])


def _row(name: str, *, fetch: bool) -> tuple[str, ...]:
    """The table's row for one asset. While listing, a broken file is a row too; while fetching, an error."""
    from facehall.assets.resolve import WeightsNotFoundError, locate
    from facehall.io.download import file_sha256

    try:
        found = locate(name, network=fetch)
    except WeightsNotFoundError:
        if fetch:
            raise
        return name, "no", "`python -m facehall.assets fetch` gets it", "", "", ""
    except FacehallError as error:
        if fetch:
            raise
        return name, "no", str(error), "", "", ""
    size = found.path.stat().st_size
    return name, "yes", found.source, str(found.path), f"{size / 1e6:.1f} MB", file_sha256(found.path)[:8]


def _print_table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe or log has no width of its own; 80 columns would break the paths
    table = Table("name", "available", "from", "path", "size", "sha256")
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)
