"""EIPNet's luminance-chrominance error."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.losses.base import Batch, LossTerm, Outputs

_TO_YUV = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)
"""BT.601's full-range YUV: U = 0.492 (B - Y), V = 0.877 (R - Y)."""


class LuminanceChrominanceLoss(LossTerm):
    """Mean squared error in YUV (Kim et al. 2021, EIPNet), colour apart from brightness."""

    @property
    def description(self) -> str:
        return "MSE in YUV"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        difference = outputs["sr"] - batch["hr"]  # the conversion is linear
        return torch.einsum("ij,bjhw->bihw", difference.new_tensor(_TO_YUV), difference).square().mean()
