"""The paper's discriminator (sec. 4.1, Fig. 8)."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.layers.blocks import conv3, leaky_relu


class PaperDiscriminator(nn.Module):
    """Convolution; two sets of (conv, activation, batch norm); four of (conv, batch norm); flatten; dense layer.

    The text gives neither channels nor strides. As in the library whose training it paraphrases, the two sets and
    every second one of the four halve the resolution, 16-fold in all, while the channels double up to 8 x `channels`.
    Read to the letter, the four last convolutions have no activation between them.

    Args:
        patch_size: side of the HR patches in pixels, a multiple of 16. The dense layer fixes it.
        channels: width of the first convolution.
        tail_activation: put a LeakyReLU behind each of the four (convolution, batch norm) too: not in the paper.

    Shapes: (B, 3, patch_size, patch_size) in [0, 1] -> logits (B, 1).
    """

    def __init__(self, patch_size: int, channels: int = 64, tail_activation: bool = False) -> None:
        super().__init__()
        if patch_size < 16 or patch_size % 16:
            raise ValueError(
                f"PaperDiscriminator: patch_size is {patch_size}, but its four strides need a multiple of 16"
            )
        self.patch_size = patch_size

        def half(in_channels: int, out_channels: int, stride: int = 2, bias: bool = True) -> nn.Conv2d:
            return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=bias)

        c = channels
        layers: list[nn.Module] = [conv3(3, c)]
        for i, o in ((c, c), (c, 2 * c)):
            layers += [half(i, o), leaky_relu(), nn.BatchNorm2d(o)]
        for i, o, stride in ((2 * c, 4 * c, 2), (4 * c, 4 * c, 1), (4 * c, 8 * c, 2), (8 * c, 8 * c, 1)):
            # Batch norm takes a bias right before it out again: Adam would only walk it about by rounding errors.
            layers += [half(i, o, stride, bias=False), nn.BatchNorm2d(o)]
            if tail_activation:
                layers.append(leaky_relu())
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(8 * c * (patch_size // 16) ** 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.patch_size, self.patch_size):
            height, width = images.shape[-2:]
            raise ValueError(
                f"PaperDiscriminator was built for {self.patch_size}x{self.patch_size} patches, got {height}x{width}: "
                "give it the HR patch size, patches.patch_size times scale, or take the U-Net discriminator for any"
            )
        return self.dense(self.features(images).flatten(1))
