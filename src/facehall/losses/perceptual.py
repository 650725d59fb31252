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


def crop_at_random(sr: Tensor, hr: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """Crop two images (B, C, H, W) to H - shift + 1 by W - shift + 1 pixels, at the same random offset."""
    top, left = torch.randint(shift, (2,)).tolist()
    height, width = (side - shift + 1 for side in sr.shape[-2:])
    return sr[..., top : top + height, left : left + width], hr[..., top : top + height, left : left + width]


class PerceptualLoss(LossTerm):
    """eq. 1 with a frozen feature extractor, which is not saved in checkpoints.

    Args:
        extractor: images (B, 3, H, W) in [0, 1] -> {layer: features}.
        layers: lambda_i of each layer.
        shift: both images lose `shift` - 1 rows and columns, at an offset drawn anew in each step. The strides of an
            extractor favour some pixels over their neighbours, and a generator, whose patches always meet them in the
            same places, draws a grid of dots. With the extractor's total stride as `shift` the places change. 1: off.

    Raises:
        ValueError: a `shift` below 1.
    """

    def __init__(self, extractor: nn.Module, layers: Mapping[str, float], shift: int = 1) -> None:
        super().__init__()
        if shift < 1:
            raise ValueError(f"shift is a number of pixels, at least 1, not {shift}")
        self.extractor = Frozen(extractor)
        self.layers = dict(layers)
        self.shift = shift

    @property
    def description(self) -> str:
        network = type(getattr(self.extractor.network, "network", self.extractor.network)).__name__
        layers = ", ".join(f"{name} x {weight:g}" for name, weight in self.layers.items())
        return f"{network} at {layers}" if layers else network

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"], batch["hr"]
        if self.shift > 1:
            sr, hr = crop_at_random(sr, hr, self.shift)
        return self.distance(sr, hr)

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [0, 1] -> scalar. No gradient flows through hr."""
        with torch.no_grad():
            hr_features = self.extractor(hr)
        return perceptual_distance(self.extractor(sr), hr_features, self.layers)
