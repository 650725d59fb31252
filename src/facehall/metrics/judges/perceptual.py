"""Learned perceptual distances: LPIPS with two backbones, and DISTS."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from facehall.metrics.dists import DISTS
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.lpips import LPIPS
from facehall.metrics.measures import Measure


@register
class LPIPSJudge(Judge):
    """LPIPS v0.1 (see `facehall.metrics.lpips`), by default on AlexNet as in papers.

    Args:
        net: the backbone, ``alex`` or ``vgg``.
        weights: the backbone's weights file; None searches the default locations.
    """

    measure = Measure("lpips", "LPIPS", "lower", perceptual=True)

    def __init__(self, net: Literal["alex", "vgg"] = "alex", weights: str | Path | None = None) -> None:
        super().__init__()
        self.network = LPIPS(net, Path(weights) if weights else None)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return self.network(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1)).double()

    @property
    def definition(self) -> str:
        return f"LPIPS v0.1 {self.network.net}"


@register
class LPIPSVGGJudge(LPIPSJudge):
    """LPIPS v0.1 on VGG16, in addition to the one on AlexNet.

    Args:
        weights: VGG16's weights file; None searches the default locations.
    """

    measure = Measure("lpips_vgg", "LPIPS VGG", "lower", perceptual=True)

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__("vgg", weights)


@register
class DISTSJudge(Judge):
    """DISTS (see `facehall.metrics.dists`).

    Args:
        weights: the file with alpha and beta; None looks in the cache, then downloads it.
        vgg: VGG16's weights file; None searches the default locations.
    """

    measure = Measure("dists", "DISTS", "lower", perceptual=True)

    def __init__(self, weights: str | Path | None = None, vgg: str | Path | None = None) -> None:
        super().__init__()
        self.network = DISTS(weights, vgg)
        self._keeps = False
        self._reference: list[Tensor] = []

    def keep_reference(self, keep: bool) -> None:
        self._keeps, self._reference = keep, []

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        sr, hr = sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1)
        if not self._keeps:
            return self.network(sr, hr).double()
        self.network.check(sr, hr)
        # The first of the features are the images themselves.
        if not self._reference or not torch.equal(self._reference[0], hr):
            self._reference = self.network.features(hr)
        return self.network.distance(self.network.features(sr), self._reference).double()

    @property
    def definition(self) -> str:
        return "DISTS on VGG16"
