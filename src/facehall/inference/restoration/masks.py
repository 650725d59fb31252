"""What of a restored crop is pasted: head, hair and shoulders, with a soft edge."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.faces.labels import BACKGROUND
from facehall.faces.parser import FaceParser
from facehall.imaging import resize_bicubic

FEATHER = 0.16
"""Width of the soft edge of the oval mask, relative to the crop."""
BORDER = 0.02
"""Strip along the border of the crop, relative to it, that is never pasted."""
GROWTH = 0.04
"""How far the outline of a person is moved outwards, relative to the crop: loose hair is finer than the parser sees."""
SOFTNESS = 0.02
"""Standard deviation of the Gaussian that softens this outline, relative to the crop."""
FEATURES = (0.58, 0.2)
"""Height of the centre, below the top, and radius of the disc of brows to mouth, relative to the crop: always pasted,
as the detector found a face there, even if the parser sees none."""

Masker = Callable[[Tensor], Tensor]
"""Crops (3, n, n) in [0, 1] in FFHQ's frame -> opacities (n, n) from 0 to 1 of what is pasted."""


def oval_mask(crop: Tensor) -> Tensor:
    """Return the opacity of a superellipse around head and hair with a soft edge, whatever the crop shows."""
    side = crop.shape[-1]
    axis = torch.linspace(-1, 1, side + 1)[:-1] + 1 / side
    distance = (axis.abs()[:, None] ** 3 + axis.abs() ** 3) ** (1 / 3)
    x = ((1 - 2 * BORDER - distance) / (2 * FEATHER)).clamp(0, 1)
    return x * x * (3 - 2 * x)


class PersonOnly:
    """The oval mask without what the parser takes for background: nothing is drawn beside a head.

    Args:
        parser: finds the person in a crop.
    """

    def __init__(self, parser: FaceParser) -> None:
        self.parser = parser

    @torch.inference_mode()
    def __call__(self, crop: Tensor) -> Tensor:
        person = 1 - self.parser(crop[None]).softmax(dim=1)[0, BACKGROUND]
        side = person.shape[-1]
        person = torch.maximum(person, _features(side))
        reach = round(GROWTH * side)
        grown = F.max_pool2d(person[None], 2 * reach + 1, stride=1, padding=reach)[0]
        soft = cv2.GaussianBlur(grown.numpy(), (0, 0), SOFTNESS * side, borderType=cv2.BORDER_REPLICATE)
        shape = (crop.shape[-2], crop.shape[-1])
        return oval_mask(crop) * resize_bicubic(torch.from_numpy(soft)[None], shape)[0].clamp(0, 1)


def _features(side: int) -> Tensor:
    height, radius = FEATURES
    axis = (torch.arange(side) + 0.5) / side
    return ((axis[:, None] - height).square() + (axis - 0.5).square() < radius**2).float()
