"""Pixel loss of networks that complete occluded pictures: hidden pixels count more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.imaging import downscale_bicubic
from facehall.imaging.occlusion import occlusion
from facehall.losses.base import Batch, LossTerm, Outputs


class InpaintingLoss(LossTerm):
    """Weighted L1: at the active scale, plus `coarse_weight` times the mean over coarser scales, inpainted LR included.

    Reads ``outputs["pyramid"]``, {scale: (B, 3, scale h, scale w)}, ``outputs["inpainted"]`` (B, 3, h, w), and which
    pixels of ``batch["lr"]`` have the key colour of occlusions.

    Args:
        hidden: weight of a hidden pixel; a visible one has 1.
        coarse_weight: weight of the coarser scales together.

    Raises:
        ValueError: a negative weight.
    """

    needs = ("outputs.pyramid", "outputs.inpainted", "batch.lr", "batch.hr")

    def __init__(self, hidden: float = 6.0, coarse_weight: float = 0.5) -> None:
        super().__init__()
        if hidden < 0 or coarse_weight < 0:
            raise ValueError(f"hidden and coarse_weight must be 0 or more, not {hidden} and {coarse_weight}")
        self.hidden = hidden
        self.coarse_weight = coarse_weight

    @property
    def description(self) -> str:
        return f"l1, x {self.hidden:g} where hidden"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        images = {1: outputs["inpainted"], **outputs["pyramid"]}
        hr, weights = batch["hr"], 1 + (self.hidden - 1) * occlusion(batch["lr"])
        finest = max(images)
        terms = []
        for scale, image in sorted(images.items()):
            with torch.no_grad():
                target = hr if scale == finest else downscale_bicubic(hr, finest // scale)
                weight = F.interpolate(weights, scale_factor=scale, mode="nearest") if scale > 1 else weights
            terms.append((weight * (image - target).abs()).mean())
        return terms[-1] + self.coarse_weight * torch.stack(terms[:-1]).mean()
