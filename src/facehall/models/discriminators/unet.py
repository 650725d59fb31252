"""The spectral-norm U-Net discriminator of Real-ESRGAN."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from facehall.models.layers.blocks import conv3


class UNetDiscriminator(nn.Module):
    """U-Net with skips, spectral norm and per-pixel logits (Wang et al. 2021, sec. 3.3; Schönfeld et al. 2020).

    No batch norm and no fixed size: H and W must be multiples of 8.

    Args:
        channels: channels at full resolution; doubled at each of the three downsamplings.

    Shapes: (B, 3, H, W) in [0, 1] -> logits (B, 1, H, W).
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        c = channels

        def down(i: int, o: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(i, o, kernel_size=4, stride=2, padding=1, bias=False))

        def same(i: int, o: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(i, o, kernel_size=3, padding=1, bias=False))

        self.first = conv3(3, c)
        self.downs = nn.ModuleList([down(c, 2 * c), down(2 * c, 4 * c), down(4 * c, 8 * c)])
        self.ups = nn.ModuleList([same(8 * c, 4 * c), same(4 * c, 2 * c), same(2 * c, c)])
        self.tail = nn.ModuleList([same(c, c), same(c, c)])
        self.last = conv3(c, 1)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2] % 8 or images.shape[-1] % 8:
            height, width = images.shape[-2:]
            raise ValueError(f"UNetDiscriminator needs sides that are multiples of 8, got {height}x{width}")
        x = F.leaky_relu(self.first(images), 0.2)
        skips = []
        for conv in self.downs:
            skips.append(x)
            x = F.leaky_relu(conv(x), 0.2)
        for conv, skip in zip(self.ups, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x), 0.2) + skip
        for conv in self.tail:
            x = F.leaky_relu(conv(x), 0.2)
        return self.last(x)
