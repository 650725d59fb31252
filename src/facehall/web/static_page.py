"""The page as a folder of static files: the network runs in the browser, and photographs never leave it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facehall import __version__
from facehall.assets.npm_files import ONNX_RUNTIME_WEB, resolve_npm_files
from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.extras import require_extra
from facehall.models.pretrained import weights_file
from facehall.web.browser_network import browser_network
from facehall.web.files import page_files

MAX_BYTES, MAX_PIXELS = 100_000_000, 32_000_000
"""Of a file, and of a result: what a browser handles."""
FORMATS = ("png", "jpg", "webp")
RUNTIME_FOLDER = "runtime"
WASM, WEBGPU = "ort.wasm.min.mjs", "ort.webgpu.min.mjs"
_ONLY_WEBGPU = (WEBGPU, "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")

# A page from a static host has no headers of its own; workers are bound by theirs. ONNX Runtime compiles WebAssembly.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'self' "
    "'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'\">"
)
NOTICE = f"""\
The files in {RUNTIME_FOLDER}/ are {ONNX_RUNTIME_WEB.package.requirement} from the npm registry, unchanged:
copyright Microsoft Corporation, MIT licence, https://github.com/microsoft/onnxruntime. All others were written by
facehall {__version__}, MIT licence; the weights are for research use.

Any web server can serve this folder, for instance `python -m http.server`. With the headers
`Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp` browsers use several threads.
"""


def write_page(folder: Path, weights: Sequence[str | Path], webgpu: bool = True) -> Path:
    """Write the page into a new or empty folder.

    Args:
        folder: created if it is missing.
        weights: names or files of networks of different scales, the page's default first.
        webgpu: include the runtime for browsers with WebGPU, 27 MB.

    Returns:
        `folder`.

    Raises:
        FacehallError: if the folder holds something or cannot be written, a network cannot be exported, or the runtime
            cannot be fetched.
    """
    require_extra("onnx", "onnx", "onnxruntime", "onnxscript")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FacehallError(f"{folder} already exists and is not an empty folder. Remove it, or choose another name.")
    runtime = resolve_npm_files(ONNX_RUNTIME_WEB)
    networks = {str(each): browser_network(weights_file(each)) for each in weights}
    scales = [network.scale for network in networks.values()]
    if len(set(scales)) < len(scales):
        raise FacehallError(f"The weights have the scales {scales}; the page takes one network for each scale.")
    names = ", ".join(Path(name).stem for name in networks)
    files: dict[str, bytes] = dict(page_files(static=True))
    files["index.html"] = files["index.html"].replace(b"<!-- policy -->", POLICY.encode())
    entries = []
    for network in networks.values():
        stem = f"x{network.scale}"
        binaries = dict(zip((f"{stem}.bin", f"{stem}_faithful.bin"), network.weights, strict=False))
        files |= {f"{stem}.onnx": network.graph, **binaries}
        entry = {
            "scale": network.scale,
            "fidelity": len(binaries) > 1,
            "overlap": network.overlap,
            "cell": network.cell,
        }
        entries.append({**entry, "graph": f"{stem}.onnx", "weights": list(binaries)})
    files["info.json"] = json.dumps(_info(names, entries, webgpu), indent=2).encode()
    files["NOTICE.txt"] = NOTICE.encode()
    try:
        for name, content in files.items():
            with replacing(folder / name) as partial:
                partial.write_bytes(content)
        (folder / RUNTIME_FOLDER).mkdir(exist_ok=True)
        for file in runtime:
            if webgpu or file.name not in _ONLY_WEBGPU:
                shutil.copyfile(file, folder / RUNTIME_FOLDER / file.name)
    except OSError as error:
        raise FacehallError(f"{error.filename or folder} cannot be written: {error.strerror or error}.") from None
    return folder


def _info(weights: str, scales: list[dict[str, Any]], webgpu: bool) -> dict[str, Any]:
    """Return what the page reads before the first picture; see `facehall.web.handler.Site.info`."""
    runtime = {"wasm": f"{RUNTIME_FOLDER}/{WASM}", "webgpu": f"{RUNTIME_FOLDER}/{WEBGPU}" if webgpu else None}
    limits = {"bytes": MAX_BYTES, "pixels": MAX_PIXELS}
    engine = {"version": __version__, "weights": weights, "scales": scales, "faces": False, "formats": FORMATS}
    return {**engine, "limits": limits, "runtime": runtime}
