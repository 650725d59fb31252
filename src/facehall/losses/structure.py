"""Losses at several reduced sizes of the image, for its structure: L1 and MS-SSIM."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.metrics.structural_similarity import WINDOW, ssim_maps

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the sizes, full size first (Wang et al. 2003, table I)."""

SMALLEST = 1e-6
"""Least mean of a size's contrast-structure in MS-SSIM, whose powers have no finite gradient at 0."""


class MultiScaleL1Loss(LossTerm):
    """sum_i weights_i * L1 of images halved i times by averaging 2x2 pixels, as in PPON (Hui et al. 2019).

    Args:
        weights: of each size, full size first.

    Raises:
        ValueError: no weights.
    """

    def __init__(self, weights: Sequence[float] = (1.0, 0.5, 0.25, 0.125, 0.125)) -> None:
        super().__init__()
        if not weights:
            raise ValueError("weights must have at least one number, that of the full size")
        self.weights = tuple(weights)

    @property
    def description(self) -> str:
        return f"L1 at {len(self.weights)} sizes"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        difference: Tensor = outputs["sr"] - batch["hr"]
        smallest = 2 ** (len(self.weights) - 1)
        if min(difference.shape[-2:]) < smallest:
            raise FacehallError(
                f"L1 at {len(self.weights)} sizes needs HR patches of at least {smallest} pixels, not "
                f"{min(difference.shape[-2:])}: give fewer weights, or enlarge patches.patch_size."
            )
        total = self.weights[0] * difference.abs().mean()
        for weight in self.weights[1:]:
            difference = F.avg_pool2d(difference, 2)  # averaging commutes with the difference
            total = total + weight * difference.abs().mean()
        return total


class MSSSIMLoss(LossTerm):
    """1 - MS-SSIM (Wang, Simoncelli and Bovik, Multi-Scale Structural Similarity, 2003), mean over RGB and the batch.

    Contrast-structure at each size and luminance at the smallest, as in `facehall.metrics.ssim`, each averaged over
    positions and raised to a power; images are halved by averaging 2x2 pixels. In float64, as SSIM.

    Args:
        scales: sizes, 1 to 5; with fewer than 5, the first exponents are scaled to the same sum, 1. HR patches must
            have at least 11 * 2^(scales - 1) pixels a side: 88 for 4, 176 for 5.

    Raises:
        ValueError: another number of scales.
    """

    def __init__(self, scales: int = 5) -> None:
        super().__init__()
        if not 1 <= scales <= len(MS_SSIM_WEIGHTS):
            raise ValueError(f"scales must be 1 to {len(MS_SSIM_WEIGHTS)}, not {scales}")
        powers = MS_SSIM_WEIGHTS[:scales]
        self.powers = tuple(power / sum(powers) for power in powers)

    @property
    def description(self) -> str:
        return f"MS-SSIM at {len(self.powers)} sizes"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"].double(), batch["hr"].double()
        smallest = WINDOW * 2 ** (len(self.powers) - 1)
        if min(sr.shape[-2:]) < smallest:
            raise FacehallError(
                f"MS-SSIM at {len(self.powers)} sizes needs HR patches of at least {smallest} pixels, not "
                f"{min(sr.shape[-2:])}: set losses.ms_ssim.scales lower, or enlarge patches.patch_size."
            )
        factors = []
        for i, power in enumerate(self.powers):
            if i:
                sr, hr = F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2)
            luminance, structure = ssim_maps(sr, hr)
            last = i + 1 == len(self.powers)
            mean = (luminance * structure if last else structure).mean(dim=(-2, -1))
            factors.append(mean.clamp(min=SMALLEST) ** power)
        return (1 - torch.stack(factors).prod(dim=0).mean()).to(outputs["sr"].dtype)
