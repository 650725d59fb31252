"""How an LR image is made from an HR one."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from facehall.imaging import downscale_bicubic, quantize

Recipe = dict[str, Any]
"""What is random about one degradation: plain numbers and lists."""


class Degradation(Protocol):
    """Makes LR images.

    Attributes:
        name: tells it from any other that can give other pixels.
        random: whether it needs a recipe; without, LR is a function of HR alone and may be stored.
    """

    @property
    def name(self) -> str: ...

    @property
    def random(self) -> bool: ...

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        """Draw a recipe; a fixed degradation draws nothing."""
        ...

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        """Hr (3, H, W) in [0, 1], H and W multiples of the scale -> lr (3, H / scale, W / scale) on 8-bit levels."""
        ...


class BicubicDegradation:
    """The protocol's: MATLAB's antialiased bicubic, rounded to 8 bits."""

    name = "bicubic"
    random = False

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        return {}

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        return quantize(downscale_bicubic(hr, scale))
