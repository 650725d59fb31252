"""LPIPS as a loss term."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import Tensor

from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.perceptual import check_shift, shifted_crops
from facehall.metrics.lpips import LPIPS
from facehall.models.frozen import Frozen


class LPIPSLoss(LossTerm):
    """Mean LPIPS (Zhang et al., CVPR 2018) over the image pairs of a batch.

    LPIPS with the same backbone is no independent metric for weights trained on it: report other measures as well.

    Args:
        net: backbone, ``alex`` or ``vgg``.
        weights: a file or folder of the backbone's weights for `facehall.assets.resolve`; None finds or fetches them.
        shift: as of `PerceptualLoss`: AlexNet's first convolution has a stride of 4. 1: off.

    Raises:
        ValueError: a `shift` below 1.
        FacehallError: the backbone's weights are unavailable, or the patches are smaller than `MIN_SIZE`.
    """

    def __init__(self, net: Literal["alex", "vgg"] = "alex", weights: str | Path | None = None, shift: int = 1) -> None:
        super().__init__()
        self.shift = check_shift(shift)
        self.net = net
        self.measure = {"alex": "lpips", "vgg": "lpips_vgg"}[net]
        self.network = Frozen(LPIPS(net, weights))

    @property
    def description(self) -> str:
        return f"LPIPS {self.net}"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        return self.distance(*shifted_crops(outputs["sr"], batch["hr"], self.shift))

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [0, 1] -> scalar. No gradient flows through hr."""
        mean: Tensor = self.network(sr, hr.detach()).mean()
        return mean
