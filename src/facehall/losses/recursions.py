"""Recursive supervision: a pixel loss on the prediction of every recursion."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.pixel import PixelKind, pixel_loss


class RecursionLoss(LossTerm):
    """The mean over all recursions of the distance of their predictions to HR (Kim et al. 2016, DRCN, eq. 9).

    Reads ``outputs["recursions"]``, a list of (B, C, s h, s w), and ``batch["hr"]``, in [0, 1]. For luma networks C is
    1, and HR's channels are equal. The paper's loss is alpha times this plus (1 - alpha) times the pixel loss, with
    alpha falling from 1: the ramp between two phases of a curriculum.

    Args:
        kind: ``mse`` (the paper), ``l1`` or ``charbonnier``.
    """

    needs = ("outputs.recursions", "batch.hr")

    def __init__(self, kind: PixelKind = "mse") -> None:
        super().__init__()
        self.kind = kind
        self.distance = pixel_loss(kind)

    @property
    def description(self) -> str:
        return f"{self.kind} of every recursion"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        hr = batch["hr"]
        terms = [self.distance(image, hr[:, : image.shape[1]]) for image in outputs["recursions"]]
        return torch.stack(terms).mean()
