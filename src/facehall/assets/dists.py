"""DISTS weights: 2 x 1,475 numbers from the wheel that its authors publish on the package index."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from facehall.assets.wheel_files import DISTS, resolve_wheel_file
from facehall.errors import FacehallError

SIZE = 1475
"""Number of channels of the image and VGG16's five stages together."""


def resolve_dists(path: str | Path | None = None) -> Path:
    """Return the weights file; see `resolve_wheel_file`."""
    return resolve_wheel_file(DISTS, path)


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
