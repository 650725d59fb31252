"""Occluded pixels, marked in a picture by a key colour that photographs do not have."""

from __future__ import annotations

from torch import Tensor

OCCLUDED = (1.0, 0.0, 1.0)
"""RGB in [0, 1] of a pixel that is hidden: magenta, (255, 0, 255) in 8 bits."""


def occlusion(images: Tensor) -> Tensor:
    """Return which pixels have exactly the key colour: (B, 3, h, w) in [0, 1] -> (B, 1, h, w), 1 or 0, same dtype."""
    red, green, blue = images.unbind(dim=-3)
    hidden = (red == OCCLUDED[0]) & (green == OCCLUDED[1]) & (blue == OCCLUDED[2])
    return hidden.to(images.dtype).unsqueeze(-3)
