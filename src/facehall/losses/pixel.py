"""Pixel losses at every scale of the generator's pyramid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.imaging import downscale_bicubic
from facehall.losses.base import Batch, LossTerm, Outputs

PixelKind = Literal["mse", "l1", "charbonnier"]


def charbonnier(sr: Tensor, hr: Tensor, epsilon: float = 1e-3) -> Tensor:
    """mean(sqrt((sr - hr)^2 + epsilon^2)): an L1 that is smooth at 0 (Lai et al. 2017, LapSRN, eq. 3).

    Shapes: any two equal ones, in [0, 1] -> scalar.

    >>> charbonnier(torch.zeros(1), torch.ones(1)).item()  # doctest: +ELLIPSIS
    1.0000...
    """
    return charbonnier_errors(sr, hr, epsilon).mean()


def charbonnier_errors(sr: Tensor, hr: Tensor, epsilon: float = 1e-3) -> Tensor:
    """sqrt((sr - hr)^2 + epsilon^2) of every value."""
    return torch.sqrt((sr - hr).square() + epsilon**2)


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "charbonnier": charbonnier,
}
PIXEL_ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": partial(F.mse_loss, reduction="none"),
    "l1": partial(F.l1_loss, reduction="none"),
    "charbonnier": charbonnier_errors,
}
"""The same before the mean over all values."""


def pixel_loss(kind: PixelKind) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a pixel loss by name."""
    if kind not in PIXEL_LOSSES:
        raise ValueError(f"kind must be one of {', '.join(PIXEL_LOSSES)}, not {kind!r}")
    return PIXEL_LOSSES[kind]


class PyramidPixelLoss(LossTerm):
    """L(SR_s, HR) + coarse_weight * mean over the coarser scales c of L(SR_c, HR bicubically reduced to c).

    Reads ``outputs["pyramid"]``, {scale: (B, 3, scale h, scale w)}, and ``batch["hr"]``, (B, 3, s h, s w), in [0, 1].

    Args:
        kind: ``mse`` (the paper), ``l1`` or ``charbonnier``.
        coarse_weight: weight of the coarser scales together; 0 leaves them unsupervised.
    """

    needs: tuple[str, ...] = ("outputs.pyramid", "batch.hr")

    def __init__(self, kind: PixelKind = "charbonnier", coarse_weight: float = 0.5) -> None:
        super().__init__()
        self.kind = kind
        self.distance = pixel_loss(kind)
        self.coarse_weight = coarse_weight

    @property
    def description(self) -> str:
        return self.kind

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        pyramid, hr = outputs["pyramid"], batch["hr"]
        *coarser, finest = sorted(pyramid)
        loss = self.term(pyramid[finest], hr, batch)
        if coarser and self.coarse_weight:
            terms = [self._coarse_term(pyramid[scale], batch, finest // scale) for scale in coarser]
            loss = loss + self.coarse_weight * torch.stack(terms).mean()
        return loss

    def _coarse_term(self, image: Tensor, batch: Batch, reduction: int) -> Tensor:
        with torch.no_grad():
            target = downscale_bicubic(batch["hr"], reduction)
        return self.term(image, target, batch)

    def term(self, image: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """Return the loss of one scale."""
        return self.distance(image, target)
