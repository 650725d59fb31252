"""Between 8-bit arrays (H, W, 3), the form of files, and float tensors (3, H, W), the form of networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facehall.errors import FacehallError


def quantize(images: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the 256 levels of an 8-bit file; stays float, of any shape.

    Halves go to the even level, as in NumPy. The gradient is zero almost everywhere: this is for measuring
    and for making LR images, not for training through.
    """
    return images.clamp(0, 1).mul(255).round().div(255)


def to_uint8(image: Tensor) -> np.ndarray:
    """One image (3, H, W) or (1, H, W) in [0, 1] as an array (H, W, 3) uint8; clamped and rounded, not truncated.

    A single channel is repeated. Any device and floating dtype.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"to_uint8 takes one image (3, H, W) or (1, H, W), not {tuple(image.shape)}")
    levels = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy())


def to_tensor(array: np.ndarray) -> Tensor:
    """An array (H, W, 3) uint8 as a tensor (3, H, W) float32 in [0, 1]; `to_uint8` undoes it exactly."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"to_tensor takes an (H, W, 3) uint8 array, not {array.shape} {array.dtype}")
    # A copy, because arrays from a flip or from Pillow may have negative strides or be read-only.
    planes = np.array(array.transpose(2, 0, 1), order="C", copy=True)
    return torch.from_numpy(planes).float().div_(255)


def crop_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Crop the last two dimensions to multiples of `multiple`; the upper left corner stays (MATLAB `modcrop`).

    Raises FacehallError when a side is shorter than `multiple`, because nothing would be left.
    """
    if multiple < 1:
        raise ValueError(f"multiple must be at least 1, not {multiple}")
    height, width = image.shape[-2:]
    if min(height, width) < multiple:
        raise FacehallError(
            f"An image of {height}x{width} pixels cannot be cropped to a multiple of {multiple}: "
            "it is smaller than that. Leave it out or use a smaller scale."
        )
    return image[..., : height - height % multiple, : width - width % multiple]
