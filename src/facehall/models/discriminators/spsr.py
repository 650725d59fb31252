"""SPSR's two discriminators."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facehall.imaging import gradient_map
from facehall.models.discriminators.vgg import VGGDiscriminator


class SPSRDiscriminator(nn.Module):
    """Two discriminators of ESRGAN's kind, of the image and of its gradient map (Ma et al., CVPR 2020).

    Their logits are two channels, so that a GAN loss is the mean of both.

    Args:
        patch_size: side of the HR patches in pixels, at least 32.
        channels: of the first pair of convolutions; 64 in the paper.

    Shapes: (B, 3, patch_size, patch_size) in [0, 1] -> logits (B, 2), of the image and of the gradient map.
    """

    def __init__(self, patch_size: int, channels: int = 64) -> None:
        super().__init__()
        self.image = VGGDiscriminator(patch_size, channels)
        self.gradient = VGGDiscriminator(patch_size, channels)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.image(images), self.gradient(gradient_map(images))], dim=1)
