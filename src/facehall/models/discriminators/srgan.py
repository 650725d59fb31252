"""SRGAN's discriminator."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.models.discriminators.sizes import check_patches
from facehall.models.layers.blocks import conv3, leaky_relu


class SRGANDiscriminator(nn.Module):
    """SRGAN's discriminator (Ledig et al. 2017, Fig. 4), also ProGanSR's and, with one more stride, GAFH-RIDN's.

    Pairs of 3x3 convolutions of stride 1 and 2, `channels` in the first pair, twice as many in each next one up to 8
    times; leaky ReLU after each, and batch norm before it, but in the first convolution; then two dense layers, the
    first of 16 `channels`. Without a patch size, the features' mean over positions enters the dense layers: a variant
    for any size.

    Args:
        patch_size: side of the HR patches in pixels; None: any size.
        channels: of the first pair; 64 in the paper.
        pairs: 4 in the paper; ProGanSR has one more at each larger scale.
        extra_strides: further convolutions of stride 2 after the pairs, without more channels; GAFH-RIDN has 1.
        residual_scale: judge an image less the bicubic enlargement of its own reduction by this factor, which is HR or
            SR less the enlarged LR image, as in ProGanSR. None: judge the image.

    Shapes: (B, 3, H, W) in [0, 1] -> logits (B, 1). H and W are at least 2^strides, and multiples of `residual_scale`.

    Raises:
        ValueError: a patch size below 2^strides or, when called, another size than `patch_size`.
    """

    def __init__(
        self,
        patch_size: int | None = None,
        channels: int = 64,
        pairs: int = 4,
        residual_scale: int | None = None,
        extra_strides: int = 0,
    ) -> None:
        super().__init__()
        smallest = 2 ** (pairs + extra_strides)
        if patch_size is not None and patch_size < smallest:
            raise ValueError(f"SRGANDiscriminator: patch_size must be at least {smallest}, not {patch_size}")
        self.patch_size = patch_size
        self.residual_scale = residual_scale
        widths = [channels * min(2**i, 8) for i in range(pairs) for _ in range(2)]
        strides = [1, 2] * pairs + [2] * extra_strides
        widths += widths[-1:] * extra_strides
        layers: list[nn.Module] = [conv3(3, channels), leaky_relu()]
        side = patch_size or 1
        for (before, width), stride in zip(pairwise(widths), strides[1:], strict=True):
            conv = nn.Conv2d(before, width, kernel_size=3, stride=stride, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(width), leaky_relu()]
            side = -(-side // stride)
        if patch_size is None:
            layers.append(nn.AdaptiveAvgPool2d(1))
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(widths[-1] * side**2, 16 * channels), leaky_relu(), nn.Linear(16 * channels, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        if self.patch_size is not None:
            check_patches(self, images, self.patch_size, "to null for any size")
        if self.residual_scale is not None:
            images = images - upscale_bicubic(downscale_bicubic(images, self.residual_scale), self.residual_scale)
        return self.dense(self.features(images).flatten(1))
