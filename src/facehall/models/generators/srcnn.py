"""SRCNN, the first convolutional network for super-resolution."""

from __future__ import annotations

from torch import Tensor, nn

from facehall.models.generators.base import Generator, records_arguments


class SRCNN(Generator):
    """Three convolutions on the bicubic luma: patch extraction, non-linear mapping, reconstruction.

    Dong, Loy, He, Tang, Image Super-Resolution Using Deep Convolutional Networks, 2016 (arXiv:1501.00092), eqs. 1-3.
    Every layer keeps the image's size by repeating its border, as in the authors' test code; there is no skip.
    Weights start from a normal distribution of standard deviation 0.001, biases from 0 (sec. 3.2).

    Args:
        scale: of the bicubic enlargement; the layers do not depend on it.
        kernel: side of the second convolution: 1, 3 or 5, for 9-1-5, 9-3-5 and 9-5-5.
        features: n1, channels after the first convolution.
        mapped: n2, channels after the second.

    Shapes: bicubic luma (B, 1, s h, s w) in [0, 1] -> luma of that shape.
    """

    input = "bicubic"
    colour = "y"

    @records_arguments
    def __init__(self, scale: int = 4, kernel: int = 5, features: int = 64, mapped: int = 32) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, such as 1, 3 or 5, not {kernel}")
        self.scale = scale
        self.layers = nn.Sequential(
            _same_size(1, features, 9),
            nn.ReLU(inplace=True),
            _same_size(features, mapped, kernel),
            nn.ReLU(inplace=True),
            _same_size(mapped, 1, 5),
        )

    def pyramid(self, lr: Tensor, up_to: int | None = None) -> dict[int, Tensor]:
        return {self.scale: self.layers(lr)}


def _same_size(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, padding_mode="replicate")
    nn.init.normal_(conv.weight, std=0.001)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
