"""Conversion between 8- or 16-bit arrays (H, W, C), as in files, and float tensors (C, H, W), as in networks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor


def quantize(images: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the 256 levels of an 8-bit file; any shape, dtype unchanged.

    Halves are rounded to the even level, as in NumPy. The gradient is zero almost everywhere: use this for metrics and
    for creating LR images, not inside a loss.
    """
    return images.clamp(0, 1).mul(255).round().div(255)


def to_tensor(levels: np.ndarray) -> Tensor:
    """Convert (H, W, C) uint8 or uint16, C from 1 to 4, to (C, H, W) float32 in [0, 1]; inverted by `to_levels`."""
    if levels.dtype not in (np.uint8, np.uint16) or levels.ndim != 3 or levels.shape[2] > 4:
        raise ValueError(f"to_tensor takes an (H, W, C) uint8 or uint16 array, not {levels.shape} {levels.dtype}")
    # Copy, because flipped arrays have negative strides and Pillow's are read-only.
    planes = np.array(levels.transpose(2, 0, 1), dtype=np.float32, order="C")
    return torch.from_numpy(planes).div_(_max_level(levels.dtype))


def to_levels(image: Tensor, dtype: Any = np.uint8) -> np.ndarray:
    """Convert (C, H, W) in [0, 1], on any device, to (H, W, C) uint8 or uint16; clamped and rounded, not truncated."""
    if image.ndim != 3 or image.shape[0] > 4:
        raise ValueError(f"to_levels takes one image (C, H, W), not {tuple(image.shape)}")
    levels = image.detach().float().clamp(0, 1).mul(_max_level(dtype)).round()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy().astype(dtype))


def to_uint8(image: Tensor) -> np.ndarray:
    """Convert an image (3, H, W) or (1, H, W) in [0, 1] to RGB (H, W, 3) uint8, repeating a single channel."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"to_uint8 takes one image (3, H, W) or (1, H, W), not {tuple(image.shape)}")
    return to_levels(image.expand(3, -1, -1))


def eight_bits(levels: np.ndarray) -> np.ndarray:
    """Round uint16 levels of any shape to uint8 (65535 becomes 255); return uint8 unchanged."""
    return levels if levels.dtype == np.uint8 else np.rint(levels / np.float32(257)).astype(np.uint8)


def _max_level(dtype: Any) -> float:
    return float(np.iinfo(dtype).max)


def digest(pixels: np.ndarray) -> bytes:
    """Return a key that equal arrays share and others do not."""
    whole = np.ascontiguousarray(pixels)
    return hashlib.sha1(whole.data, usedforsecurity=False).digest() + f"{whole.dtype}{whole.shape}".encode()
