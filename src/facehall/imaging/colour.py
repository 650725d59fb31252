"""The luma that super-resolution papers measure on."""

from __future__ import annotations

from torch import Tensor


def rgb_to_y(images: Tensor) -> Tensor:
    """BT.601 luma with studio swing: (..., 3, H, W) in [0, 1] -> (..., 1, H, W) in [16/255, 235/255].

    Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255 (ITU-R BT.601; MATLAB `rgb2ycbcr` on doubles). Not
    rounded.
    """
    if images.ndim < 3 or images.shape[-3] != 3:
        raise ValueError(f"rgb_to_y takes images (..., 3, H, W), not {tuple(images.shape)}")
    red, green, blue = images.unbind(dim=-3)
    luma = (16.0 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255.0
    return luma.unsqueeze(-3)
