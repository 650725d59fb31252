"""``facehall serve``: a page to restore photographs in, for a browser on this machine."""

from __future__ import annotations

import argparse
import logging
import signal
from typing import TYPE_CHECKING, Any

from facehall.cli.parser import PARSER_OPTIONS, WEIGHTS, Commands, add_verbosity, weights_completer
from facehall.errors import FacehallError
from facehall.io.logs import say

if TYPE_CHECKING:
    from facehall.web.engine import Engine

_log = logging.getLogger(__name__)

_SERVE = """\
Serve a page in which photographs can be restored, and compared with the original. Only this machine can open it,
photographs never leave this machine, and nothing is kept: neither photographs nor results are written to disk.
"""

_EXAMPLES = """\
examples:
  facehall serve --open                     opens the page in the browser
  facehall serve --port 0                   any free port
  facehall serve --weights runs/NAME/TIME/weights/generator_ema.safetensors

Ctrl-C stops the server.
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "serve", help="restore photographs in a browser", description=_SERVE, epilog=_EXAMPLES, **PARSER_OPTIONS
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("-w", "--weights", metavar="FILE", help=WEIGHTS).completer = weights_completer
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 (auto)")
    parser.add_argument("--backend", default="auto", metavar="NAME", help="inference backend (auto)")
    parser.add_argument(
        "--faces",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="find faces, as facehall restore does; else pictures are enlarged as a whole (yes)",
    )
    group = parser.add_argument_group("server")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    group.add_argument("--port", type=int, default=8000, metavar="N", help="0: any free port (8000)")
    group.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="answer to this name too; may be repeated"
    )
    group.add_argument("--max-megabytes", type=int, default=40, metavar="N", help="of a file (40)")
    group.add_argument("--max-megapixels", type=int, default=64, metavar="N", help="of a picture and its result (64)")
    add_verbosity(parser)
    parser.set_defaults(run=_serve, interrupted_hint="Nothing was kept.")


def _serve(options: argparse.Namespace) -> None:
    from facehall.web.server import PageServer, is_loopback
    from facehall.web.work import Limits

    for name in ("max_megabytes", "max_megapixels"):
        if getattr(options, name) < 1:
            raise FacehallError(f"--{name.replace('_', '-')} {getattr(options, name)}: must be at least 1.")
    limits = Limits(options.max_megabytes * 1_000_000, options.max_megapixels * 1_000_000)
    with PageServer(_engine(options), options.host, options.port, limits, options.allow_host) as server:
        previous = signal.signal(signal.SIGTERM, _interrupt)  # how containers are stopped
        say(f"{server.url} (Ctrl-C stops it)")
        if not is_loopback(options.host):
            say("Everybody who can reach this machine over the network can use the page.")
        if options.open:
            import webbrowser

            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")
        finally:
            signal.signal(signal.SIGTERM, previous)


def _engine(options: argparse.Namespace) -> Engine:
    from facehall.assets import WeightsNotFoundError
    from facehall.web.engine import PredictorEngine
    from facehall.web.photo_engine import PhotoEngine

    settings = (options.weights, options.device, options.backend)
    if options.faces:
        try:
            return PhotoEngine(*settings)
        except WeightsNotFoundError as error:
            _log.warning("Faces are not looked for, and pictures are enlarged as a whole. %s", error)
    return PredictorEngine(*settings)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
