"""LapSRN: a Laplacian pyramid of residual images, predicted from coarse to fine."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments
from facehall.models.layers.blocks import conv3, leaky_relu
from facehall.models.layers.scales import pyramid_scales


class FeatureUpsampling(nn.ConvTranspose2d):
    """Transposed 3x3 convolution of stride 2 that drops the last row and column: (B, C, h, w) -> (B, C, 2h, 2w)."""

    def __init__(self, features: int) -> None:
        super().__init__(features, features, kernel_size=3, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = x.shape[-2:]  # slices from the end would add guards that torch.export refuses
        return super().forward(x)[..., : 2 * height, : 2 * width]


def image_upsampling() -> nn.ConvTranspose2d:
    """Return a transposed 4x4 convolution of stride 2, (B, 1, h, w) -> (B, 1, 2h, 2w), initialised to bilinear."""
    layer = nn.ConvTranspose2d(1, 1, kernel_size=4, stride=2, padding=1, bias=False)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.copy_(torch.outer(ramp, ramp))
    return layer


@torch.no_grad()
def init_lapsrn_(module: nn.Module, first: nn.Conv2d, features: int) -> None:
    """Initialise as the authors' code: Gaussian of He's width for `features` 3x3 inputs, 0.001 in the first layer.

    Image upsamplings, which have one channel, stay bilinear.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.bias is not None:
            nn.init.normal_(layer.weight, std=1e-3 if layer is first else math.sqrt(2 / (9 * features)))
            nn.init.zeros_(layer.bias)


class Level(nn.Module):
    """One x2 level: `depth` convolutions and a transposed one, all activated; a residual image.

    Shapes: features (B, C, h, w) and image (B, 1, h, w) -> features (B, C, 2h, 2w) and image (B, 1, 2h, 2w).
    """

    def __init__(self, features: int, depth: int) -> None:
        super().__init__()
        convs = [(conv3(features, features), leaky_relu()) for _ in range(depth)]
        self.features = nn.Sequential(
            *(layer for pair in convs for layer in pair), FeatureUpsampling(features), leaky_relu()
        )
        self.residual = conv3(features, 1)
        self.image = image_upsampling()

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.features(x)
        return x, self.image(image) + self.residual(x)


class LapSRN(Generator):
    """LapSRN (Lai et al., Deep Laplacian Pyramid Networks, CVPR 2017), on luma.

    Each level doubles the size of the features and of the image: features pass `depth` convolutions and a transposed
    one, and give a residual image; the image is enlarged by a learned 4x4 transposed convolution, initially bilinear,
    and the residual is added to it. The paper describes 4x4 kernels for the features; the authors' weights have 3x3,
    and so has this network. `depth` counts neither the first convolution nor the transposed one, and nothing skips
    the convolutions of a level.

    Args:
        scale: 2, 4 or 8.
        depth: d, convolutions of each level; 10 in the paper, 5 in the authors' x8 weights.
        features: channels.

    Raises:
        ValueError: another scale.
    """

    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4, depth: int = 10, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        first = conv3(1, features)
        self.first = nn.Sequential(first, leaky_relu())
        self.levels = nn.ModuleList(Level(features, depth) for _ in pyramid_scales(scale))
        init_lapsrn_(self, first, features)

    @property
    def scales(self) -> tuple[int, ...]:
        return pyramid_scales(self.scale)

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        """(B, 1, h, w) luma in [0, 1] -> {scale: (B, 1, scale h, scale w)}."""
        image, features = lr, self.first(lr)
        images = {}
        for scale, level in zip(self.scales, self.levels, strict=True):
            features, image = level(features, image)
            images[scale] = image
            if scale == up_to:
                break
        return images
