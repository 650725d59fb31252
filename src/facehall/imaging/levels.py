"""Between the levels of files, arrays (H, W, C) of 8 or 16 bits, and float tensors (C, H, W), the form of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def quantize(images: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the 256 levels of an 8-bit file; stays float, of any shape.

    Halves go to the even level, as in NumPy. The gradient is zero almost everywhere: this is for measuring
    and for making LR images, not for training through.
    """
    return images.clamp(0, 1).mul(255).round().div(255)


def to_tensor(levels: np.ndarray) -> Tensor:
    """(H, W, C) uint8 or uint16, C from 1 to 4 -> (C, H, W) float32 in [0, 1]; `to_levels` undoes it exactly."""
    if levels.dtype not in (np.uint8, np.uint16) or levels.ndim != 3 or levels.shape[2] > 4:
        raise ValueError(f"to_tensor takes an (H, W, C) uint8 or uint16 array, not {levels.shape} {levels.dtype}")
    # A copy, because arrays from a flip or from Pillow may have negative strides or be read-only.
    planes = np.array(levels.transpose(2, 0, 1), dtype=np.float32, order="C")
    return torch.from_numpy(planes).div_(_white(levels.dtype))


def to_levels(image: Tensor, dtype: Any = np.uint8) -> np.ndarray:
    """(C, H, W) in [0, 1] -> (H, W, C) uint8 or uint16; clamped and rounded, not truncated.

    Any device and floating dtype.
    """
    if image.ndim != 3 or image.shape[0] > 4:
        raise ValueError(f"to_levels takes one image (C, H, W), not {tuple(image.shape)}")
    levels = image.detach().float().clamp(0, 1).mul(_white(dtype)).round()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy().astype(dtype))


def to_uint8(image: Tensor) -> np.ndarray:
    """One image (3, H, W) or (1, H, W) in [0, 1] as RGB (H, W, 3) uint8: `to_levels`, a single channel repeated."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"to_uint8 takes one image (3, H, W) or (1, H, W), not {tuple(image.shape)}")
    return to_levels(image.expand(3, -1, -1))


def eight_bits(levels: np.ndarray) -> np.ndarray:
    """The nearest uint8 levels of uint16 ones (65535 becomes 255), of any shape; uint8 as it is."""
    return levels if levels.dtype == np.uint8 else np.rint(levels / np.float32(257)).astype(np.uint8)


def _white(dtype: Any) -> float:
    return float(np.iinfo(dtype).max)
