"""MATLAB's bicubic downscaling, the standard degradation in the super-resolution literature."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from facehall.data.degradations.base import Recipe
from facehall.imaging import downscale_bicubic, quantize


class BicubicDegradation:
    """The protocol's degradation: MATLAB's antialiased bicubic, rounded to 8 bits."""

    name = "bicubic"
    random = False

    def draw(self, rng: np.random.Generator, scale: int) -> Recipe:
        return {}

    def __call__(self, hr: Tensor, scale: int, recipe: Recipe | None = None) -> Tensor:
        if recipe:
            raise ValueError(f"bicubic has no parameters, but the recipe has {', '.join(map(str, recipe))}")
        return quantize(downscale_bicubic(hr, scale))
