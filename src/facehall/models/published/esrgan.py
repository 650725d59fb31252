"""The authors' RRDBNet weights: RRDB_ESRGAN_x4.pth and RRDB_PSNR_x4.pth, and others of that network."""

from __future__ import annotations

from pathlib import Path

from facehall.models.generators import RRDBNet
from facehall.models.weights import load_public_rrdbnet


def read(path: Path) -> RRDBNet:
    """Build the network of a public x4 checkpoint of any of its three layouts.

    Raises:
        FacehallError: the file is not a checkpoint of plain tensors, or holds another network.
    """
    return load_public_rrdbnet(path)
