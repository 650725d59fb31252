"""The files of the page, held in memory: what a browser may ask for is a fixed list, never a path."""

from __future__ import annotations

import functools
from pathlib import Path

PAGE_FOLDER = Path(__file__).parent / "page"

COMMON = (
    *("index.html", "style.css", "icon.svg", "app.js", "theme.js", "pictures.js", "viewer.js", "frame.js"),
    *("zip.js", "crc32.js"),
)
"""Files of both pages; `engine.js`, which they import, is one or the other of `SERVER` and `STATIC`."""
SERVER = {"engine.js": "server/engine.js"}
STATIC = {
    "engine.js": "static/engine.js",
    "worker.js": "static/worker.js",
    "alpha.js": "static/alpha.js",
    "network.js": "static/network.js",
    "tiles.js": "static/tiles.js",
    "picture.js": "static/picture.js",
    "png.js": "static/png.js",
}

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@functools.cache
def page_files(static: bool = False) -> dict[str, bytes]:
    """Return name -> content of the files of the page that talks to a server, or of the static one."""
    sources = {name: name for name in COMMON} | (STATIC if static else SERVER)
    return {name: (PAGE_FOLDER / source).read_bytes() for name, source in sources.items()}


def media_type(name: str) -> str:
    """Return the Content-Type of a file of the page."""
    return _TYPES[Path(name).suffix]
