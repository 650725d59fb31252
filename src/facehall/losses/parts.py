"""A pixel loss that counts some parts of the face more than others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.losses.base import Batch, LossTerm, Outputs

DEFAULT = {2: 3.0, 3: 3.0, 4: 3.0, 5: 3.0, 6: 3.0}
"""Brows, eyes, nose, lips and mouth of the scheme ``faces9``."""


class PartsLoss(LossTerm):
    """mean(w |SR - HR|), w the weight of the pixel's class; a prior that costs nothing at test time.

    Args:
        weights: weight by number of the class in the parsing map; all other classes have the weight 1.
        kind: ``l1``, ``charbonnier`` (as `facehall.losses.charbonnier`) or ``mse``.

    Raises:
        ValueError: an unknown kind, or a weight or number below 0.
        FacehallError: when called, labels of another size than HR.
    """

    needs = ("outputs.sr", "batch.hr", "batch.parsing")

    def __init__(
        self, weights: Mapping[int, float] | None = None, kind: Literal["l1", "charbonnier", "mse"] = "charbonnier"
    ) -> None:
        super().__init__()
        if kind not in ("l1", "charbonnier", "mse"):
            raise ValueError(f"kind must be l1, charbonnier or mse, not {kind!r}")
        chosen = {int(number): float(weight) for number, weight in (DEFAULT if weights is None else weights).items()}
        if any(number < 0 or weight < 0 for number, weight in chosen.items()):
            raise ValueError(f"weights must be {{class: weight}}, numbers of at least 0, not {chosen}")
        self.kind = kind
        self.weights = chosen

    @property
    def description(self) -> str:
        return f"{self.kind} by parts of the face"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr, labels = outputs["sr"], batch["hr"], batch["parsing"]
        if labels.shape[-2:] != hr.shape[-2:]:
            raise FacehallError(
                f"The labels of the parts are {tuple(labels.shape[-2:])}, the pictures {tuple(hr.shape[-2:])}: both "
                "must come from the same files (data.annotations)."
            )
        weight = torch.ones_like(labels, dtype=hr.dtype)
        for number, value in self.weights.items():
            weight = torch.where(labels == number, value, weight)
        difference = sr - hr
        if self.kind == "l1":
            error = difference.abs()
        else:
            error = difference.square() if self.kind == "mse" else (difference.square() + 1e-6).sqrt()
        return (weight[:, None] * error).mean()
