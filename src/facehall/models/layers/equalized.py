"""Convolution with an equalised learning rate."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F


class EqualizedConv3(nn.Conv2d):
    """3x3 convolution whose weights are normal at the start and multiplied by He's width whenever they are used.

    All layers then learn at the same relative speed under Adam (Karras et al., Progressive Growing of GANs, 2018,
    sec. 4.1). Biases start at 0.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)
        self.gain = math.sqrt(2 / (9 * in_channels))
        nn.init.normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.gain, self.bias, padding=1)
