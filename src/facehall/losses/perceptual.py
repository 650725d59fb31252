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


def shifted_crops(sr: Tensor, hr: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """Crop each pair of images (C, H, W) to H - shift + 1 by W - shift + 1 pixels, at an offset below `shift`.

    The sum of the HR image's levels chooses the offset, so that it varies like a random number, but is the same in a
    resumed training and on whichever thread or process the image is. A shift of 1 returns both unchanged.
    """
    if shift == 1:
        return sr, hr
    numbers = (255 * hr).round().long().flatten(1).sum(1) % shift**2
    height, width = (side - shift + 1 for side in hr.shape[-2:])
    offsets = [divmod(number, shift) for number in numbers.tolist()]
    layout = torch.channels_last if hr.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format

    def crop(images: Tensor) -> Tensor:
        crops = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(images, offsets, strict=True)]
        return torch.stack(crops).to(memory_format=layout)

    return crop(sr), crop(hr)


def check_shift(shift: int) -> int:
    """Return a shift; raise a ValueError below 1."""
    if shift < 1:
        raise ValueError(f"shift is a number of pixels, at least 1, not {shift}")
    return shift


class PerceptualLoss(LossTerm):
    """eq. 1 with a frozen feature extractor, which is not saved in checkpoints.

    Args:
        extractor: images (B, 3, H, W) in [0, 1] -> {layer: features}.
        layers: lambda_i of each layer.
        shift: both images lose `shift` - 1 rows and columns, at an offset that differs from patch to patch. An
            extractor's strides favour some pixels over their neighbours, and a generator whose patches always meet them
            in the same places draws a grid of dots. The extractor's total stride reaches all places alike. 1: off.

    Raises:
        ValueError: a `shift` below 1.
    """

    def __init__(self, extractor: nn.Module, layers: Mapping[str, float], shift: int = 1) -> None:
        super().__init__()
        self.extractor = Frozen(extractor)
        self.layers = dict(layers)
        self.shift = check_shift(shift)

    @property
    def description(self) -> str:
        network = type(getattr(self.extractor.network, "network", self.extractor.network)).__name__
        layers = ", ".join(f"{name} x {weight:g}" for name, weight in self.layers.items())
        return f"{network} at {layers}" if layers else network

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.distance(*shifted_crops(outputs["sr"], batch["hr"], self.shift))

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [0, 1] -> scalar. No gradient flows through hr."""
        with torch.no_grad():
            hr_features = self.extractor(hr)
        return perceptual_distance(self.extractor(sr), hr_features, self.layers)
