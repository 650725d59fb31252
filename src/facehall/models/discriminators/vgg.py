"""ESRGAN's discriminator."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.discriminators.sizes import check_patches
from facehall.models.layers.blocks import conv3, leaky_relu


class VGGDiscriminator(nn.Module):
    """The VGG-style discriminator of ESRGAN's code (Wang et al. 2018).

    Five pairs of a 3x3 convolution and a 4x4 one of stride 2, of 1, 2, 4, 8 and 8 times `channels`; leaky ReLU after
    each, and batch norm before it, but in the first convolution; then dense layers of 100 and 1.

    Args:
        patch_size: side of the HR patches in pixels, at least 32; fixed by the dense layer. 128 in the paper.
        channels: of the first pair.

    Shapes: (B, 3, patch_size, patch_size) in [0, 1] -> logits (B, 1).

    Raises:
        ValueError: a patch size below 32 or, when called, another size.
    """

    def __init__(self, patch_size: int, channels: int = 64) -> None:
        super().__init__()
        if patch_size < 32:
            raise ValueError(
                f"VGGDiscriminator: patch_size must be at least 32 because of its five strides, not {patch_size}"
            )
        self.patch_size = patch_size
        layers: list[nn.Module] = []
        before = 3
        for width in (channels * factor for factor in (1, 2, 4, 8, 8)):
            if not layers:
                layers += [conv3(before, width), leaky_relu()]
            else:
                same = nn.Conv2d(before, width, kernel_size=3, padding=1, bias=False)
                layers += [same, nn.BatchNorm2d(width), leaky_relu()]
            halving = nn.Conv2d(width, width, kernel_size=4, stride=2, padding=1, bias=False)
            layers += [halving, nn.BatchNorm2d(width), leaky_relu()]
            before = width
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Linear(before * (patch_size // 32) ** 2, 100), leaky_relu(), nn.Linear(100, 1))

    def forward(self, images: Tensor) -> Tensor:
        check_patches(self, images, self.patch_size, "use the U-Net discriminator, which takes any size")
        return self.dense(self.features(images).flatten(1))
