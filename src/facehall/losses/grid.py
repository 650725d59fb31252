"""Penalty on patterns that repeat with the LR grid, the dots that GANs draw on flat regions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.losses.base import Batch, LossTerm, Outputs


def grid_pattern(images: Tensor, period: int, cells: int) -> Tensor:
    """Return the part of images that repeats every `period` pixels in each neighbourhood of `cells` x `cells` periods.

    At each of the period^2 positions within a period, the mean over the neighbourhood, less the mean over all
    positions. Detail that is not tied to the grid averages out.

    Shapes: (B, C, H, W) -> (B, C, period^2, H / period - cells + 1, W / period - cells + 1).
    """
    phases = F.avg_pool2d(F.pixel_unshuffle(images, period), cells, stride=1)
    phases = phases.unflatten(1, (images.shape[1], period**2))
    return phases - phases.mean(2, keepdim=True)


class GridLoss(LossTerm):
    """Root mean square of the pattern in SR - HR that repeats with the LR grid, averaged over neighbourhoods.

    A convolutional generator treats all LR pixels alike: where LR is flat, it can answer a discriminator's demand for
    texture only with a pattern of the LR grid's period. The root makes faint patterns count like strong ones.

    Args:
        cells: side of a neighbourhood in LR pixels, at most that of the patches.
    """

    needs = ("outputs.sr", "batch.hr", "batch.lr")

    def __init__(self, cells: int = 6) -> None:
        super().__init__()
        self.cells = cells

    @property
    def description(self) -> str:
        return f"patterns of the LR grid over {self.cells} x {self.cells} LR pixels"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        error = outputs["sr"] - batch["hr"]
        pattern = grid_pattern(error, error.shape[-1] // batch["lr"].shape[-1], self.cells)
        return torch.sqrt(pattern.square().mean(2) + 1e-8).mean()  # finite derivative at 0
