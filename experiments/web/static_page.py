"""How long the static page takes for a face: from the click to the picture that can be downloaded.

    python experiments/web/static_page.py FACE

FACE is a small picture, 64x64 pixels for the published figures. Needs Playwright and Chromium. Each of the weights is
measured in a page with one WebAssembly thread and in one that is isolated (COOP, COEP) and may use more; rounds are
interleaved. Prints medians; the first restoration, which loads the network, apart.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from facehall.cli.experiments import experiment_parser
from facehall.models.pretrained import bundled_names
from facehall.web.static_page import write_page

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
ROUNDS = 9


def serve(folder: Path, headers: dict[str, str]) -> str:
    """Serve a folder from a thread of this process; return its address."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *about: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def restore(page: Any, face: Path) -> float:
    """Restore a picture; return the seconds."""
    page.set_input_files("#files", face)
    page.wait_for_selector("#download", state="hidden")
    started = time.perf_counter()
    page.click("#restore")
    page.wait_for_selector("#download:visible")
    return time.perf_counter() - started


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("face", type=Path, metavar="FACE", help="a small picture")
    parser.add_argument("--weights", nargs="+", default=["facehall-x4_fast", "facehall-x4"], metavar="NAME")
    options = parser.parse_args()
    assert set(options.weights) <= set(bundled_names())
    from playwright.sync_api import sync_playwright  # not needed for --help

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]))
        pages, first = {}, {}
        for weights in options.weights:
            written = write_page(folder / weights, [weights])
            for label, headers in (("plain", {}), ("isolated", ISOLATION)):
                page = browser.new_page()
                page.set_default_timeout(120_000)
                page.goto(serve(written, headers))
                page.wait_for_selector("body[data-ready]")
                pages[weights, label] = page
                first[weights, label] = restore(page, options.face)
        times: dict[tuple[str, str], list[float]] = {key: [] for key in pages}
        for _ in range(ROUNDS):
            for key, page in pages.items():
                times[key].append(restore(page, options.face))
        for key, page in pages.items():
            about = " ".join(page.inner_text("#about").split())
            print(f"{' '.join(key):28} first {first[key]:.2f} s, then {statistics.median(times[key]):.3f} s   {about}")


if __name__ == "__main__":
    main()
