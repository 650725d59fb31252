"""The distances compared with VGG16s, all in the form of eq. 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.models.perceptual import VGG16Features, VGG16sFeatures

TWO = {"conv2_2": 0.5, "conv3_3": 0.5}  # conf/losses/vgg16.yaml
FULL = {"conv2_2": 0.1, "conv3_3": 0.2, "conv4_3": 0.3, "conv5_3": 1.0}  # conf/losses/vgg16_full.yaml


class Reduced(nn.Module):
    """Wraps an extractor to downscale its input images."""

    def __init__(self, extractor: nn.Module, factor: float) -> None:
        super().__init__()
        self.extractor, self.factor = extractor, factor

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        size = [round(length / self.factor) for length in images.shape[-2:]]
        features: dict[str, Tensor] = self.extractor(
            F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        )
        return features


def candidates(weights: str | None = None) -> dict[str, tuple[nn.Module, dict[str, float]]]:
    """Return {name: (extractor, its layer weights)}. Random networks use a fixed seed."""
    torch.manual_seed(0)
    random_small, random_vgg = VGG16sFeatures(TWO, pretrained=False), VGG16Features(TWO, pretrained=False)
    for network in (random_small, random_vgg):  # He initialisation preserves the signal's variance
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    return {
        "VGG16, two layers": (VGG16Features(TWO), TWO),
        "VGG16, full": (VGG16Features(FULL), FULL),
        "VGG16s": (VGG16sFeatures(TWO, weights=weights), TWO),
        "VGG16 cut at conv1_1": (VGG16Features("conv1_1"), {"conv1_1": 1.0}),
        "VGG16 cut at conv1_2": (VGG16Features("conv1_2"), {"conv1_2": 1.0}),
        "VGG16 cut at conv2_2, images / 2": (Reduced(VGG16Features("conv2_2"), 2), {"conv2_2": 1.0}),
        "VGG16, two layers, images / 2.83": (Reduced(VGG16Features(TWO), 8**0.5), TWO),
        "random VGG16s": (random_small, TWO),
        "random VGG16, two layers": (random_vgg, TWO),
    }
