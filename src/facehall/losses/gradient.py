"""Distances between gradient maps."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from facehall.imaging import gradient_map
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.pixel import PixelKind, pixel_loss


class GradientLoss(LossTerm):
    """Distance of a gradient map to HR's, as in SPSR (Ma et al., CVPR 2020, eqs 6 and 7).

    Args:
        of: ``sr``, the gradient map of the SR image, or ``gradient``, the one that the network itself predicts,
            ``outputs["gradient"]``, (B, 3, H, W).
        kind: ``mse``, ``l1`` or ``charbonnier``.

    Raises:
        ValueError: another image or kind.
    """

    def __init__(self, of: Literal["sr", "gradient"] = "sr", kind: PixelKind = "mse") -> None:
        super().__init__()
        if of not in ("sr", "gradient"):
            raise ValueError(f"of must be sr or gradient, not {of!r}")
        self.of = of
        self.kind = kind
        self.distance = pixel_loss(kind)
        self.needs = (f"outputs.{of}", "batch.hr")

    @property
    def description(self) -> str:
        return f"{self.kind} of the gradient map" + (" of SR" if self.of == "sr" else " predicted")

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        predicted = gradient_map(outputs["sr"]) if self.of == "sr" else outputs["gradient"]
        return self.distance(predicted, gradient_map(batch["hr"]))
