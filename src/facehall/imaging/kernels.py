"""Bicubic resampling by whole factors as weights of convolutions, for graphs that have no antialiased resize.

Float64; between borders equal to `facehall.imaging.bicubic`, whose responses to single pixels they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.imaging.bicubic import downscale_bicubic, resize_bicubic, upscale_bicubic


def enlarging_kernel(scale: int) -> Tensor:
    """Return weights (s², 1, 5, 5), one filter per subpixel, for a convolution before a pixel shuffle."""
    response = upscale_bicubic(_impulse(4), scale)[2 * scale : 7 * scale, 2 * scale : 7 * scale]
    kernel = response.reshape(5, scale, 5, scale).flip(0, 2).permute(1, 3, 0, 2)
    return kernel.reshape(scale**2, 1, 5, 5)


def reducing_kernel(scale: int) -> Tensor:
    """Return weights (1, 1, k, k) for a convolution of stride s, padded by (k - s) / 2."""
    line = resize_bicubic(torch.eye(9 * scale, dtype=torch.float64), (9 * scale, 9))[:, 4]
    line = line[_extent(line)]
    return torch.outer(line, line)[None, None]


def lost_kernel(scale: int) -> Tensor:
    """Return weights (1, 1, k, k), k odd, for what an image loses by being enlarged and reduced again."""
    impulse = _impulse(8)
    lost = impulse - downscale_bicubic(upscale_bicubic(impulse, scale), scale)
    rows = _extent(lost.abs().sum(dim=1))
    return lost[rows, rows].flip(0, 1)[None, None]


def _extent(line: Tensor) -> slice:
    """Return where a line is, without the zeros before and after it."""
    places = line.nonzero()
    return slice(int(places.min()), int(places.max()) + 1)


def _impulse(before: int) -> Tensor:
    image = torch.zeros(2 * before + 1, 2 * before + 1, dtype=torch.float64)
    image[before, before] = 1
    return image
