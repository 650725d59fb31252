"""A pixel loss that counts some parts of the face more than others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.losses.base import Batch, Outputs
from facehall.losses.pixel import PIXEL_ERRORS, PixelKind, PyramidPixelLoss

DEFAULT = {2: 3.0, 3: 3.0, 4: 3.0, 5: 3.0, 6: 3.0}
"""Brows, eyes, nose, lips and mouth of the scheme ``faces9``."""


class PartsLoss(PyramidPixelLoss):
    """`PyramidPixelLoss` with a weight for each pixel, that of its class; a prior that costs nothing at test time.

    A pixel of a coarser scale has the mean weight of the HR pixels that it covers.

    Args:
        weights: weight by number of the class in the parsing map; all other classes have the weight 1.
        kind, coarse_weight: see `PyramidPixelLoss`.

    Raises:
        ValueError: an unknown kind, or a weight or number below 0.
        FacehallError: when called, labels of another size than HR.
    """

    needs = ("outputs.pyramid", "batch.hr", "batch.parsing")

    def __init__(
        self,
        weights: Mapping[int, float] | None = None,
        kind: PixelKind = "charbonnier",
        coarse_weight: float = 0.5,
    ) -> None:
        super().__init__(kind, coarse_weight)
        chosen = {int(number): float(weight) for number, weight in (DEFAULT if weights is None else weights).items()}
        if any(number < 0 or weight < 0 for number, weight in chosen.items()):
            raise ValueError(f"weights must be {{class: weight}}, numbers of at least 0, not {chosen}")
        self.weights = chosen

    @property
    def description(self) -> str:
        return f"{self.kind} by parts of the face"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        hr, labels = batch["hr"], batch["parsing"]
        if labels.shape[-2:] != hr.shape[-2:]:
            raise FacehallError(
                f"The labels of the parts are {tuple(labels.shape[-2:])}, the pictures {tuple(hr.shape[-2:])}: both "
                "must come from the same files (data.annotations)."
            )
        weight = torch.ones_like(labels, dtype=hr.dtype)
        for number, value in self.weights.items():
            weight = torch.where(labels == number, value, weight)
        return super().forward(outputs, {**batch, "weight": weight[:, None]})

    def term(self, image: Tensor, target: Tensor, batch: Batch) -> Tensor:
        weight = F.adaptive_avg_pool2d(batch["weight"], (target.shape[-2], target.shape[-1]))
        return (weight * PIXEL_ERRORS[self.kind](image, target)).mean()
