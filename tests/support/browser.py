"""Chromium, driven by Playwright, for tests of the page."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facehall.assets.npm_files import NpmFile, NpmFiles, Package, resolve_npm_files
from facehall.assets.resolve import WeightsNotFoundError

# No sandbox, because tests may run as root in a container; nothing from elsewhere is opened.
FLAGS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
AXE = NpmFiles(  # MPL-2.0, Deque Systems; used by the tests only
    name="axe",
    what="accessibility checker axe-core",
    package=Package("axe-core@4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"),
    files=(
        NpmFile(
            "axe.min.js",
            "package/axe.min.js",
            "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
        ),
    ),
    alternative="do without it",
    folder="npm/axe-core@4.14.1",
)


SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
"""WebGPU without a graphics card, computed by SwiftShader, which comes with Chromium."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser; skips where there is neither a Chromium nor Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright, launch(playwright.chromium) as browser:
        yield browser


def launch(chromium: Any, *flags: str) -> Any:
    """Start a browser of Playwright's type `chromium` with further flags; skips where there is no Chromium."""
    found = map(shutil.which, (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"))
    executable = next(filter(None, found), None)
    if executable is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or set CHROMIUM to its path")
    return chromium.launch(executable_path=executable, args=[*FLAGS, *flags])


class Tab:
    """A page that was opened at a URL, and what went wrong in it.

    Attributes:
        page: Playwright's page.
        problems: errors and warnings on its console, uncaught exceptions, and requests to another host.
    """

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(**{"color_scheme": "light", **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.problems: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.context.on("request", lambda request: self._request(request.url, url))
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]")

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *exception: object) -> None:
        self.context.close()

    def add(self, *files: Path | dict[str, Any]) -> None:
        self.page.set_input_files("#files", list(files))

    def restore(self) -> bytes:
        """Click on Restore and return the file that can then be downloaded."""
        self.page.click("#restore")
        self.page.wait_for_selector("#download:visible")
        return self.downloaded()

    def downloaded(self, selector: str = "#download") -> bytes:
        with self.page.expect_download() as download:
            self.page.click(selector)
        return Path(download.value.path()).read_bytes()

    def violations(self) -> list[str]:
        """Return axe-core's serious and critical findings; skips where it cannot be had."""
        try:
            (script,) = resolve_npm_files(AXE)
        except WeightsNotFoundError as error:
            pytest.skip(str(error))
        self.page.evaluate(f"() => {{ {script.read_text()} }}")
        found = self.page.evaluate("() => axe.run()")["violations"]
        return [
            f"{each['id']}: {[node['html'] for node in each['nodes']]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _request(self, requested: str, own: str) -> None:
        if not requested.startswith((own, "blob:", "data:")):
            self.problems.append(f"request to {requested}")


def picture_file(content: bytes, name: str = "a.png", kind: str = "image/png") -> dict[str, Any]:
    """A file for an input of the page."""
    return {"name": name, "mimeType": kind, "buffer": content}


def levels(content: bytes) -> np.ndarray:
    """Return the levels of an image file, as integers that may be subtracted."""
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)
