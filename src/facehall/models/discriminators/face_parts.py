"""A discriminator of aligned faces that judges the whole face and its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from facehall.models.discriminators.srgan import SRGANDiscriminator

PARTS = {
    "eyes": (0.22, 0.36, 0.78, 0.58),
    "nose": (0.37, 0.44, 0.63, 0.68),
    "mouth": (0.31, 0.62, 0.69, 0.84),
}
"""(left, top, right, bottom) of the parts of faces aligned as those of FFHQ and CelebA-HQ, relative to the side."""
LOCAL_PAIRS = 3


class FacePartsDiscriminator(nn.Module):
    """A global discriminator, and a local one for each part of the face, as in Pro-UIGAN (Zhang et al. 2022).

    The paper's sizes are unpublished: each is SRGAN's discriminator with averaged features, local ones with a pair of
    convolutions less. Parts are crops at fixed places, which suits aligned faces.

    Args:
        channels: of the first convolutions.
        parts: name -> (left, top, right, bottom) relative to the image's side; null entries are left out.

    Shapes: (B, 3, H, W) in [0, 1] -> logits (B, 1 + parts), the global one first.

    Raises:
        ValueError: a box that is not inside the image, or, when called, a part below 8 pixels.
    """

    def __init__(self, channels: int = 64, parts: Mapping[str, Sequence[float] | None] = PARTS) -> None:
        super().__init__()
        self.boxes = {name: tuple(box) for name, box in parts.items() if box is not None}
        for name, box in self.boxes.items():
            if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
                raise ValueError(f"parts.{name} must be left, top, right, bottom inside [0, 1], not {list(box)}")
        self.whole = SRGANDiscriminator(None, channels)
        self.local = nn.ModuleDict({name: SRGANDiscriminator(None, channels, LOCAL_PAIRS) for name in self.boxes})

    def forward(self, images: Tensor) -> Tensor:
        crops = {name: self._crop(images, name) for name in self.boxes}
        return torch.cat([self.whole(images), *(self.local[name](crop) for name, crop in crops.items())], dim=1)

    def _crop(self, images: Tensor, name: str) -> Tensor:
        height, width = images.shape[-2:]
        left, top, right, bottom = self.boxes[name]
        crop = images[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        if min(crop.shape[-2:]) < 2**LOCAL_PAIRS:
            raise ValueError(
                f"FacePartsDiscriminator: {name} has {crop.shape[-1]}x{crop.shape[-2]} pixels of an image of "
                f"{width}x{height}, fewer than {2**LOCAL_PAIRS}: train with larger pictures (patches.patch_size)"
            )
        return crop
