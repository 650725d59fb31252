"""EIPNet's edge loss: predicted edge maps against Canny's edges of HR."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.imaging import downscale_bicubic
from facehall.losses.base import Batch, LossTerm, Outputs


@torch.no_grad()
def canny(images: Tensor, low: float, high: float) -> Tensor:
    """Return Canny's edges by OpenCV, which runs on the CPU: (B, 3, H, W) in [0, 1] -> (B, 1, H, W), 0 or 1.

    Args:
        low, high: thresholds of the gradient in 8-bit levels (Sobel, sum of the absolute values).
    """
    levels = images.float().mul(255).round().clamp(0, 255).to(torch.uint8)
    found = []
    for image in levels.permute(0, 2, 3, 1).cpu().numpy():
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        found.append(torch.from_numpy(cv2.Canny(grey, low, high) > 0))
    return torch.stack(found)[:, None].to(images)


class EdgeLoss(LossTerm):
    """Sum over scales of the mean squared error of an edge map and the edges of HR, reduced to that scale.

    Kim et al. 2021 (EIPNet). Reads ``outputs["edges"]``, {scale: (B, 1, scale h, scale w)}.

    Args:
        thresholds: Canny's, low and high; the authors' by default.

    Raises:
        ValueError: not two thresholds in order.
    """

    needs = ("outputs.edges", "batch.hr")

    def __init__(self, thresholds: Sequence[float] = (50, 255)) -> None:
        super().__init__()
        low, high = thresholds if len(thresholds) == 2 else (1, 0)
        if not 0 <= low <= high:
            raise ValueError(f"thresholds must be two numbers, low before high, not {list(thresholds)}")
        self.low, self.high = low, high

    @property
    def description(self) -> str:
        return "Canny edges"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        hr, edges = batch["hr"], outputs["edges"]
        finest = max(edges)
        terms = []
        for scale, edge_map in edges.items():
            target = hr if scale == finest else downscale_bicubic(hr, finest // scale)
            terms.append(F.mse_loss(edge_map, canny(target, self.low, self.high)))
        return torch.stack(terms).sum()
