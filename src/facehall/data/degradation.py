"""How an LR image is made from an HR one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from facehall.imaging import downscale_bicubic, quantize

Degradation = Callable[[Tensor, int], Tensor]
"""hr (3, H, W) in [0, 1], H and W multiples of the scale; scale -> lr (3, H / scale, W / scale) on 8-bit levels."""


class BicubicDegradation:
    """The protocol's: MATLAB's antialiased bicubic, rounded to 8 bits."""

    def __call__(self, hr: Tensor, scale: int) -> Tensor:
        return quantize(downscale_bicubic(hr, scale))
