"""The input of our own small networks: any picture, resampled to one size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def as_input(images: Tensor, side: int) -> Tensor:
    """Resample pictures and shift their range: (B, 3, h, w) in [0, 1] -> (B, 3, side, side) in about [-1, 1].

    Bicubic, antialiased where it reduces; differentiable. One size for all lets one network take crops of 16 pixels as
    well as of 256: what they lack is visible as blur.
    """
    if images.shape[-2:] != (side, side):
        images = F.interpolate(images, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return 2 * images - 1
