"""``facehall assets``, also ``python -m facehall.assets``: list files of others and download missing ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from facehall.cli.parser import PARSER_OPTIONS, Commands, add_verbosity
from facehall.errors import FacehallError

if TYPE_CHECKING:
    from facehall.assets import Located

_DESCRIPTION = """\
The LPIPS metric (AlexNet, VGG16), the loss vgg16 (VGG16) and the DISTS metric need weights trained on
ImageNet; the default loss, vgg16s, is included in the package. `facehall restore` needs the face detector
CenterFace. Measures of identity and landmarks need dlib's recognition network and MediaPipe's face mesh;
trainings with an identity loss may use faceres or mobileface (145 MB), `facehall page` needs
onnxruntime_web (33 MB): `fetch` gets these three only by name.
Without arguments, list which of them are on this machine, without network access.
`fetch` downloads the missing ones, so that later runs need no network: run it on a login node,
or when building the image for compute nodes.
"""

_ENVIRONMENT = """\
environment:
  FACEHALL_WEIGHTS   folder with your own copies: vgg16.safetensors or vgg16-397923af.pth,
                     alexnet.safetensors or alexnet-owt-7be5be79.pth, dists.pt, centerface.onnx,
                     face_mesh.tflite, dlib_resnet.json and dlib_resnet.bin
  FACEHALL_CACHE     folder for downloaded files (default: $XDG_CACHE_HOME/facehall, else ~/.cache/facehall)
  FACEHALL_OFFLINE   1: never use the network

exit status: 0, or 2 if weights are unavailable
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "assets",
        help="list or download pretrained weights",
        description=_DESCRIPTION,
        epilog=_ENVIRONMENT,
        **PARSER_OPTIONS,
    )
    add_verbosity(parser)
    parser.set_defaults(run=_assets, interrupted_hint="Partial downloads are kept; run the same command to resume.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    add_verbosity(actions.add_parser("list", help="list the weights and their locations (default)", **PARSER_OPTIONS))
    fetch = actions.add_parser("fetch", help="get missing weights into the cache", **PARSER_OPTIONS)
    fetch.add_argument("names", nargs="*", metavar="NAME", help="of the weights, as the list has them (all)")
    add_verbosity(fetch)


def _assets(options: argparse.Namespace) -> None:
    from facehall.assets import ASSETS, NPM_FILES, WHEEL_FILES

    fetch = options.action == "fetch"
    known = [*ASSETS, *WHEEL_FILES, *NPM_FILES]
    usual = [name for name in known if name not in NPM_FILES or not NPM_FILES[name].by_name_only]
    names = list(getattr(options, "names", [])) or (usual if fetch else known)
    for name in names:  # report a mistyped name before the first download
        if name not in known:
            raise FacehallError(f"Unknown pretrained weights '{name}'; known names: {', '.join(known)}.")
    _print_table([_row(name, fetch=fetch) for name in names])


def _row(name: str, *, fetch: bool) -> tuple[str, ...]:
    """Return the table row of one asset. A broken file is a row when listing and an error when fetching."""
    from facehall.assets import WeightsNotFoundError
    from facehall.io.download import file_sha256

    try:
        found = _locate(name, network=fetch)
    except WeightsNotFoundError:
        if fetch:
            raise
        return name, "no", "run `python -m facehall.assets fetch`", "", "", ""
    except FacehallError as error:
        if fetch:
            raise
        return name, "no", str(error), "", "", ""
    size = found.path.stat().st_size
    return name, "yes", found.source, str(found.path), f"{size / 1e6:.1f} MB", file_sha256(found.path)[:8]


def _locate(name: str, *, network: bool) -> Located:
    """Return where an asset is; of several files, the last, which holds the weights."""
    from facehall.assets import NPM_FILES, WHEEL_FILES, locate, locate_npm_files, locate_wheel_file

    if name in WHEEL_FILES:
        return locate_wheel_file(WHEEL_FILES[name], network=network)
    if name in NPM_FILES:
        return locate_npm_files(NPM_FILES[name], network=network)[-1]
    return locate(name, network=network)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # pipes and logs have no width; the default of 80 columns would break paths
    table = Table("name", "available", "from", "path", "size", "sha256")
    for row in rows:
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)
