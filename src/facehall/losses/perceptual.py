"""The perceptual loss (eq. 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.models.frozen import Frozen


def perceptual_distance(
    sr_features: Mapping[str, Tensor], hr_features: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """sum_i lambda_i * MSE(phi_i(SR), phi_i(HR)) over the layers named in `weights` (eq. 1).

    The mean over positions and channels replaces the paper's squared norm, so that lambda_i does not depend on the
    patch size.

    Shapes: {layer: (B, C_i, h_i, w_i)} twice -> scalar.
    """
    terms = [weight * F.mse_loss(sr_features[layer], hr_features[layer]) for layer, weight in weights.items()]
    return torch.stack(terms).sum()


class PerceptualLoss(LossTerm):
    """eq. 1 with a frozen feature extractor, which is not saved in checkpoints.

    Args:
        extractor: images (B, 3, H, W) in [0, 1] -> {layer: features}.
        layers: lambda_i of each layer.
    """

    def __init__(self, extractor: nn.Module, layers: Mapping[str, float]) -> None:
        super().__init__()
        self.extractor = Frozen(extractor)
        self.layers = dict(layers)

    @property
    def description(self) -> str:
        network = type(getattr(self.extractor.network, "network", self.extractor.network)).__name__
        layers = ", ".join(f"{name} x {weight:g}" for name, weight in self.layers.items())
        return f"{network} at {layers}" if layers else network

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.distance(outputs["sr"], batch["hr"])

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [0, 1] -> scalar. No gradient flows through hr."""
        with torch.no_grad():
            hr_features = self.extractor(hr)
        return perceptual_distance(self.extractor(sr), hr_features, self.layers)
