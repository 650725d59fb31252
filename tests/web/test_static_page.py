"""The page of static files in a real browser, with the network in WebAssembly or on a graphics card."""

import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from browser import SOFTWARE_GPU, Tab, launch, levels, picture_file
from small import write_weights
from small_page import encoded, noise

from facehall.assets.npm_files import ONNX_RUNTIME_WEB, resolve_npm_files
from facehall.assets.resolve import WeightsNotFoundError
from facehall.inference import Predictor
from facehall.web import static_page
from facehall.web.browser_network import BrowserNetwork
from facehall.web.static_page import write_page


@pytest.fixture(scope="module")
def folder(browser, tmp_path_factory):
    """A static page with the tiny network."""
    pytest.importorskip("onnxruntime", reason="facehall page needs the extra onnx")
    try:
        resolve_npm_files(ONNX_RUNTIME_WEB)
    except WeightsNotFoundError as error:
        pytest.skip(str(error))
    home = tmp_path_factory.mktemp("static")
    file = write_weights(home / "generator_ema.safetensors")
    write_weights(home / "generator_psnr.safetensors")
    return write_page(home / "page", [file])


@contextmanager
def served(folder, *headers):
    """The folder's URL, from a server as `python -m http.server` runs it, with some headers more."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self):
            for name, value in headers:
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *about):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["plain", "isolated"])
def static_tab(request, browser, folder):
    """The page with and without COOP and COEP headers."""
    isolation = ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp")
    headers = isolation if request.param == "isolated" else ()
    with served(folder, *headers) as url, Tab(browser, url) as tab:
        assert tab.page.evaluate("() => crossOriginIsolated") == (request.param == "isolated")
        yield tab
        assert tab.problems == []


def test_static_page_is_within_a_level_of_the_predictor(static_tab, folder):
    predictor = Predictor(folder.parent / "generator_ema.safetensors", "cpu", "eager", fidelity=0.0)
    for image in (noise(), noise(mode="L"), noise(300, 20, mode="RGB")):
        static_tab.add(picture_file(encoded(image)))
        result = static_tab.restore()
        expected = predictor.upscale(np.asarray(image)).rgb.astype(int)
        found = levels(result)
        if image.mode == "L":
            assert found.ndim == 2
            found = found[..., None]
        assert np.abs(found - expected).max() <= 1, image
    assert "WebAssembly" in static_tab.page.inner_text("#about")


def test_static_page_on_a_graphics_card(browser, folder):
    predictor = Predictor(folder.parent / "generator_ema.safetensors", "cpu", "eager", fidelity=0.0)
    with launch(browser.browser_type, *SOFTWARE_GPU) as other, served(folder) as url, Tab(other, url) as tab:
        if not tab.page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU, not even SwiftShader's")
        tab.page.set_default_timeout(300_000)  # beside other work, SwiftShader compiles for half a minute
        tab.add(picture_file(encoded(noise())))
        assert np.abs(levels(tab.restore()) - predictor.upscale(np.asarray(noise())).rgb).max() <= 1
        assert "WebGPU" in tab.page.inner_text("#about")
        assert tab.problems == []


def test_static_page_interpolates_and_refuses(static_tab, folder):
    image = noise(seed=2)
    static_tab.add(picture_file(encoded(image)))
    static_tab.page.focus("#fidelity")
    static_tab.page.keyboard.press("End")
    predictor = Predictor(folder.parent / "generator_psnr.safetensors", "cpu", "eager")
    difference = levels(static_tab.restore()) - predictor.upscale(np.asarray(image)).rgb
    assert np.abs(difference).max() <= 1
    static_tab.add(picture_file(b"no picture", "broken.png"))
    static_tab.page.click("#restore")
    static_tab.page.wait_for_selector("#message:visible")
    assert "broken.png is not an image that this browser can read" in static_tab.page.inner_text("#message")


def test_static_page_keeps_transparency(static_tab, folder):
    image = noise(mode="RGBA")
    image.putalpha(image.getchannel("A").point(lambda level: 128 + level // 2))
    static_tab.add(picture_file(encoded(image)))
    found = levels(static_tab.restore())
    expected = Predictor(folder.parent / "generator_ema.safetensors", "cpu", "eager").upscale(np.asarray(image))
    assert np.abs(found[..., 3] - expected.alpha.astype(int)).max() <= 1


def test_files_of_the_static_page(folder):
    info = json.loads((folder / "info.json").read_text())
    (entry,) = info["scales"]
    assert entry["fidelity"]
    names = {path.name for path in folder.iterdir()}
    assert {"index.html", "NOTICE.txt", entry["graph"], *entry["weights"]} <= names
    assert "wasm-unsafe-eval" in (folder / "index.html").read_text()
    for path in info["runtime"].values():
        assert (folder / path).is_file()


def test_page_without_webgpu(monkeypatch, tmp_path):
    monkeypatch.setattr(
        static_page, "browser_network", lambda weights: BrowserNetwork(2, 4, 1, b"graph", (b"weights",))
    )
    try:
        folder = write_page(tmp_path / "page", ["some.safetensors"], webgpu=False)
    except WeightsNotFoundError as error:
        pytest.skip(str(error))
    assert json.loads((folder / "info.json").read_text())["runtime"]["webgpu"] is None
    assert not list((folder / "runtime").glob("*asyncify*"))
    assert (folder / "x2.bin").read_bytes() == b"weights"
