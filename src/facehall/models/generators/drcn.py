"""DRCN: one convolution applied many times, each time with a prediction of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3, init_scaled_he_


class DRCN(Generator):
    """Embedding, `recursions` applications of one convolution, and a reconstruction shared by all of them.

    Kim, Lee, Lee, Deeply-Recursive Convolutional Network for Image Super-Resolution, 2016 (arXiv:1511.04491), secs. 3
    and 4. Each recursion's state is reconstructed to a residual of the bicubic luma; the result is the sum of these
    predictions with learned weights, which start equal and are not normalised. In training the single predictions are
    an output as well, supervised by `RecursionLoss`. The recursive convolution starts as the identity, the others
    from He's initialisation, biases from 0.

    Args:
        scale: of the bicubic enlargement; the layers do not depend on it.
        recursions: D, 16 in the paper.
        features: channels, 256 in the paper.

    Shapes: bicubic luma (B, 1, s h, s w) in [0, 1] -> luma of that shape; ``recursions`` is a list of D of them.
    """

    input = "bicubic"
    colour = "y"
    provides = ("pyramid", "recursions")

    @records_arguments
    def __init__(self, scale: int = 4, recursions: int = 16, features: int = 256) -> None:
        super().__init__()
        if recursions < 1:
            raise ValueError(f"recursions must be at least 1, not {recursions}")
        self.scale = scale
        self.recursions = recursions
        self.embedding = nn.Sequential(
            conv3(1, features), nn.ReLU(inplace=True), conv3(features, features), nn.ReLU(inplace=True)
        )
        self.recursion = conv3(features, features)
        self.reconstruction = nn.Sequential(conv3(features, features), nn.ReLU(inplace=True), conv3(features, 1))
        init_scaled_he_(self, 1.0)
        nn.init.dirac_(self.recursion.weight)
        self.weights = nn.Parameter(torch.full((recursions,), 1 / recursions))

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: self._weighted_sum(self._predictions(lr))}

    def outputs(self, lr: Tensor, up_to: int | None = None) -> dict[str, Any]:
        predictions = self._predictions(lr)
        return {"pyramid": {self.scale: self._weighted_sum(predictions)}, "recursions": predictions}

    def _predictions(self, lr: Tensor) -> list[Tensor]:
        state, predictions = self.embedding(lr), []
        for _ in range(self.recursions):
            state = self.recursion(state).relu()
            predictions.append(lr + self.reconstruction(state))
        return predictions

    def _weighted_sum(self, predictions: list[Tensor]) -> Tensor:
        return torch.stack([w * image for w, image in zip(self.weights.unbind(), predictions, strict=True)]).sum(dim=0)
