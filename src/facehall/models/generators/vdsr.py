"""VDSR: a deep plain network that predicts the residual of the bicubic image."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3, init_scaled_he_


class VDSR(Generator):
    """`layers` 3x3 convolutions on the bicubic luma, with ReLU in between, added to it.

    Kim, Lee, Lee, Accurate Image Super-Resolution Using Very Deep Convolutional Networks, 2016 (arXiv:1511.04587),
    sec. 3. Zero padding; He initialisation, biases 0.

    Args:
        scale: of the bicubic enlargement; the layers do not depend on it, and the authors' network serves x2 to x4.
        layers: depth, at least 2.
        features: channels.

    Shapes: bicubic luma (B, 1, s h, s w) in [0, 1] -> luma of that shape.
    """

    input = "bicubic"
    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4, layers: int = 20, features: int = 64) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"layers must be at least 2, not {layers}")
        self.scale = scale
        channels = [1, *[features] * (layers - 1)]
        pairs = [(conv3(a, b), nn.ReLU(inplace=True)) for a, b in itertools.pairwise(channels)]
        self.layers = nn.Sequential(*(layer for pair in pairs for layer in pair), conv3(features, 1))
        init_scaled_he_(self, 1.0)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: lr + self.layers(lr)}
