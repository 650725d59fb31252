"""The landmark loss of aligned faces: SR and HR should have their features in the same places."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from facehall.faces.landmarks import LandmarkNetwork
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.models.frozen import Frozen


class FacePointsLoss(LossTerm):
    """Mean distance of the 468 points that our landmark network finds in SR and in HR, averaged over the batch.

    The network sees each picture as a whole face in FFHQ's frame, so patches must show whole aligned faces. It knows 16
    pixels as well as 64 and never saw the outputs of a generator; MediaPipe's mesh, which taught it, is the judge of
    landmarks. No gradient flows through HR.

    Args:
        weights: the landmark network's file; None uses the bundled one.

    Shapes: SR and HR (B, 3, H, W) in [0, 1] -> scalar, in sides of the picture.

    Raises:
        FacehallError: the weights are missing or of another network.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.network = Frozen(LandmarkNetwork.pretrained(weights))

    @property
    def description(self) -> str:
        return "landmarks of our own network"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"], batch["hr"]
        with torch.autocast(sr.device.type, enabled=False):
            with torch.no_grad():
                known = self.network(hr.float())
            difference = self.network(sr.float()) - known
        # Differentiable where a point has not moved, unlike the norm.
        return (difference.square().sum(-1) + 1e-8).sqrt().mean()
