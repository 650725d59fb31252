"""BT.601 luma, which super-resolution papers evaluate on, and YCbCr conversion."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def rgb_to_y(images: Tensor) -> Tensor:
    """Convert RGB to BT.601 luma with studio swing: (..., 3, H, W) in [0, 1] -> (..., 1, H, W) in [16/255, 235/255].

    Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255 (ITU-R BT.601; MATLAB `rgb2ycbcr` on doubles). Not rounded.
    """
    if images.ndim < 3 or images.shape[-3] != 3:
        raise ValueError(f"rgb_to_y takes images (..., 3, H, W), not {tuple(images.shape)}")
    red, green, blue = images.unbind(dim=-3)
    luma = (16.0 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255.0
    return luma.unsqueeze(-3)


_TO_YCBCR = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
_OFFSETS = (16.0, 128.0, 128.0)
_TO_RGB: list[list[float]] = np.linalg.inv(_TO_YCBCR).tolist()


def rgb_to_ycbcr(images: Tensor) -> Tensor:
    """Convert RGB (..., 3, H, W) in [0, 1] to BT.601 YCbCr with studio swing, as MATLAB's `rgb2ycbcr`; not rounded.

    Y is in [16, 235] / 255 and equals `rgb_to_y`; Cb and Cr are in [16, 240] / 255.
    """
    red, green, blue = images.unbind(dim=-3)
    chroma = [
        (offset + r * red + g * green + b * blue) / 255.0
        for (r, g, b), offset in zip(_TO_YCBCR[1:], _OFFSETS[1:], strict=True)
    ]
    return torch.cat((rgb_to_y(images), torch.stack(chroma, dim=-3)), dim=-3)


def ycbcr_to_rgb(images: Tensor) -> Tensor:
    """Invert `rgb_to_ycbcr`; neither rounded nor clamped."""
    # Scalars, because a tensor created here would be a constant of every exported graph.
    luma, blue, red = (255.0 * plane - offset for plane, offset in zip(images.unbind(dim=-3), _OFFSETS, strict=True))
    return torch.stack([y * luma + cb * blue + cr * red for y, cb, cr in _TO_RGB], dim=-3)
