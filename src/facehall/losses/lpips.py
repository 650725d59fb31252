"""LPIPS as the perceptual loss."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from facehall.metrics.lpips import LPIPS
from facehall.models.frozen import Frozen


class LPIPSLoss(nn.Module):
    """The mean of LPIPS (Zhang et al., CVPR 2018) over the pairs of a batch, in the place of eq. 1's distance.

    Trained on, LPIPS is no independent judge any more of the same backbone: say so beside the figures.

    Args:
        net: backbone, ``alex`` or ``vgg``.
        weights: a file or folder of the backbone's weights for `facehall.assets.resolve`; None finds or fetches them.

    Shapes: sr, hr (B, 3, H, W) in [0, 1] -> scalar. No gradient flows through hr.

    Raises:
        FacehallError: the backbone's weights cannot be had, or the patches are smaller than `MIN_SIZE`.
    """

    def __init__(self, net: Literal["alex", "vgg"] = "alex", weights: str | Path | None = None) -> None:
        super().__init__()
        self.distance = Frozen(LPIPS(net, weights))

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        mean: Tensor = self.distance(sr, hr.detach()).mean()
        return mean
