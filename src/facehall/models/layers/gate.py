"""`DetailGate`: a learned back-projection that gives back what a network took for noise though it is detail."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.imaging.kernels import enlarging_kernel, lost_kernel, reducing_kernel
from facehall.models.layers.blocks import conv3
from facehall.models.layers.dense import NEGATIVE_SLOPE

DILATIONS = (1, 2, 4)
"""Of the layers at a quarter of the resolution: noise and blocks of JPEG show in a neighbourhood, not in a pixel."""
DIFFERENCES = 10
"""Factor by which differences of input and image, some hundredths, come into the range of images."""
MAX_GAIN = 1.25
"""Of the correction. Softsign, which never quite saturates: with tanh, gains once stuck at 1 for good."""


class DetailGate(nn.Module):
    """Pulls a network's output towards agreement with its input, where the input deserves it.

    A network for degraded photographs removes noise, and from a clean photograph freckles and stubble. Back-projection
    (Irani & Peleg 1991) adds to an image the enlarged difference of the input and the reduced image, which would put
    back all of them. Here this difference is multiplied by a gain for each pixel, which a small network with a wide
    view reads off the input and the difference. The gain starts at zero: an untrained gate changes nothing.

    It works on residuals, because the bicubic image is added in full precision by whatever runs the network, and by
    convolutions alone, which every backend has. Tiles begin at multiples of `cell` pixels.

    Args:
        scale: s.
        width: channels of the hidden layers.
    """

    cell = 4
    enlarging: Tensor
    reducing: Tensor
    lost: Tensor

    def __init__(self, scale: int, width: int) -> None:
        super().__init__()
        self.scale = scale
        self.first, self.second = conv3(6, width), conv3(width, width)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(2))
        self.wide = nn.ModuleList(nn.Conv2d(width, width, 3, padding=step, dilation=step) for step in DILATIONS)
        self.gain = conv3(width, 1)
        for parameter in self.gain.parameters():
            nn.init.zeros_(parameter)
        kernels = {"enlarging": enlarging_kernel, "reducing": reducing_kernel, "lost": lost_kernel}
        for name, kernel in kernels.items():
            self.register_buffer(name, kernel(scale).float().repeat(3, 1, 1, 1), persistent=False)

    def forward(self, lr: Tensor, residual: Tensor) -> Tensor:
        """Return the corrected residual.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            residual: (B, 3, s h, s w), what the network adds to the bicubic image.
        """
        difference = _filtered(lr, self.lost) - _filtered(residual, self.reducing, stride=self.scale)
        correction = self._gains(lr, difference) * difference
        return residual + F.pixel_shuffle(_filtered(correction, self.enlarging), self.scale)

    def _gains(self, lr: Tensor, difference: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(torch.cat((lr - 0.5, DIFFERENCES * difference), dim=1)), NEGATIVE_SLOPE)
        wide, sides = x, []
        for conv in self.down:
            sides.append(wide.shape[-2:])
            wide = F.leaky_relu(conv(wide), NEGATIVE_SLOPE)
        for conv in self.wide:
            wide = wide + F.leaky_relu(conv(wide), NEGATIVE_SLOPE)
        for side in reversed(sides):  # which are rounded up on the way down
            wide = F.interpolate(wide, size=side)
        x = x + F.leaky_relu(self.second(x + wide), NEGATIVE_SLOPE)
        return MAX_GAIN * F.softsign(self.gain(x))


def _filtered(images: Tensor, kernel: Tensor, stride: int = 1) -> Tensor:
    padded = F.pad(images, ((kernel.shape[-1] - stride) // 2,) * 4, mode="replicate")
    return F.conv2d(padded, kernel.to(images.dtype), stride=stride, groups=images.shape[1])
