"""A newcomer's path, timed: the wheel in a new environment, `facehall serve`, a photograph restored in its page.

    python experiments/web/newcomer.py PHOTO OUT

Needs Playwright and Chromium. Writes a screenshot of each step into OUT, in light, dark and 360 pixels wide, and the
restored photograph; prints the seconds of each step and the clicks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facehall.cli.experiments import experiment_parser
from facehall.errors import FacehallError

ROOT = Path(__file__).parents[2]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}
PORT = 8765


@contextmanager
def timed(step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:6.1f} s  {step}", flush=True)


def install(out: Path) -> Path:
    """Build the wheel and install it into a new environment; return its command."""

    def run(*words: object) -> None:
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)

    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, ROOT)
    (wheel,) = out.glob("facehall-*.whl")
    with timed(f"pip install {wheel.name}, in a new environment"):
        run(sys.executable, "-m", "venv", out / "venv")
        run(out / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return out / "venv" / "bin" / "facehall"


def walk(browser: Any, photo: Path, out: Path) -> None:
    """Restore a photograph in the page, by clicks alone, in each of the looks."""
    for look, options in LOOKS.items():
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(120_000)
        with timed(f"{look}: the page is there"):
            page.goto(f"http://127.0.0.1:{PORT}/")
            page.wait_for_selector("body[data-ready]")
        page.screenshot(path=out / f"{look}_1_open.png", full_page=True)
        with timed(f"{look}: 1st click, a photograph is chosen and its faces are outlined"):
            page.set_input_files("#files", photo)  # the dialogue belongs to the system
            page.wait_for_selector("#boxes button")
        page.screenshot(path=out / f"{look}_2_faces.png", full_page=True)
        with timed(f"{look}: 2nd click, it is restored"):
            page.click("#restore")
            page.wait_for_selector("#download:visible")
        page.screenshot(path=out / f"{look}_3_restored.png", full_page=True)
        with timed(f"{look}: 3rd click, it is downloaded"), page.expect_download() as download:
            page.click("#download")
        download.value.save_as(out / f"{look}_{download.value.suggested_filename}")


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a photograph with faces")
    parser.add_argument("out", type=Path, metavar="OUT", help="new folder for everything")
    options = parser.parse_args()
    if options.out.exists():
        raise FacehallError(f"{options.out} already exists. Choose another folder.")
    from playwright.sync_api import sync_playwright  # not needed for --help

    options.out.mkdir(parents=True)
    command = install(options.out)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        with timed("facehall serve answers"):
            server = subprocess.Popen([command, "serve", "--port", str(PORT)], stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            print("          " + server.stdout.readline().strip())
        try:
            walk(browser, options.photo, options.out)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
