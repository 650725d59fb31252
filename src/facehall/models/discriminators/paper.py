"""The paper's discriminator (sec. 4.1, Fig. 8)."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.discriminators.sizes import check_patches
from facehall.models.layers.blocks import conv3, leaky_relu


class PaperDiscriminator(nn.Module):
    """Convolution; two sets of (conv, activation, batch norm); four of (conv, batch norm); flatten; dense layer.

    The paper gives neither channels nor strides. As in the library whose training it paraphrases, both sets and every
    second one of the four halve the resolution (16-fold in total), and the channels double up to 8 x `channels`.
    Taken literally, the last four convolutions have no activation between them.

    Args:
        patch_size: side of the HR patches in pixels, a multiple of 16; fixed by the dense layer.
        channels: channels of the first convolution.
        tail_activation: add a LeakyReLU after each of the four (convolution, batch norm); not in the paper.
        strided_kernel: 3 or 4, of the convolutions with stride 2. With 3, even and odd pixels take part in different
            numbers of products, and the gradient that reaches the generator has a checkerboard (Odena et al. 2016).

    Shapes: (B, 3, patch_size, patch_size) in [0, 1] -> logits (B, 1).
    """

    def __init__(
        self, patch_size: int, channels: int = 64, tail_activation: bool = False, strided_kernel: int = 3
    ) -> None:
        super().__init__()
        if patch_size < 16 or patch_size % 16:
            raise ValueError(
                f"PaperDiscriminator: patch_size must be a multiple of 16 because of its four strides, not {patch_size}"
            )
        if strided_kernel not in (3, 4):
            raise ValueError(f"PaperDiscriminator: strided_kernel is 3 or 4, not {strided_kernel}")
        self.patch_size = patch_size

        def strided_conv(in_channels: int, out_channels: int, stride: int = 2, bias: bool = True) -> nn.Conv2d:
            kernel = 3 if stride == 1 else strided_kernel
            return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=1, bias=bias)

        c = channels
        layers: list[nn.Module] = [conv3(3, c)]
        for i, o in ((c, c), (c, 2 * c)):
            layers += [strided_conv(i, o), leaky_relu(), nn.BatchNorm2d(o)]
        for i, o, stride in ((2 * c, 4 * c, 2), (4 * c, 4 * c, 1), (4 * c, 8 * c, 2), (8 * c, 8 * c, 1)):
            # Batch norm cancels a bias right before it; Adam would only update it by rounding errors.
            layers += [strided_conv(i, o, stride, bias=False), nn.BatchNorm2d(o)]
            if tail_activation:
                layers.append(leaky_relu())
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(8 * c * (patch_size // 16) ** 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        check_patches(self, images, self.patch_size, "use the U-Net discriminator, which takes any size")
        return self.dense(self.features(images).flatten(1))
