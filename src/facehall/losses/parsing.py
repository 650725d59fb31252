"""The loss of a predicted parsing map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.distributed.gathering import gather
from facehall.errors import FacehallError
from facehall.losses.base import Batch, LossTerm, Outputs


class ParsingLoss(LossTerm):
    """Cross entropy of the generator's parsing map and the labels of the picture.

    Reads ``outputs["parsing"]``, logits (B, classes, h, w) of any resolution, and ``batch["parsing"]``, (B, H, W) of
    HR, whose pixels nearest to the centres of the map's are compared.

    Args:
        balance: exponent of the classes' shares of the batch in their weights, share^-balance: 0 counts all pixels
            alike, 1 all classes.

    Raises:
        ValueError: `balance` is not in [0, 1].
        FacehallError: when called, labels beyond the generator's classes.
    """

    needs = ("outputs.parsing", "batch.parsing")

    def __init__(self, balance: float = 0.5) -> None:
        super().__init__()
        if not 0 <= balance <= 1:
            raise ValueError(f"balance must be in [0, 1], not {balance}")
        self.balance = balance

    @property
    def description(self) -> str:
        return "parsing of the face"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        logits, labels = outputs["parsing"], batch["parsing"]
        classes = logits.shape[1]
        wanted = F.interpolate(labels[:, None].float(), size=logits.shape[-2:], mode="nearest-exact")[:, 0].long()
        counts = torch.bincount(wanted.flatten(), minlength=classes).to(torch.float32)
        if len(counts) > classes:
            raise FacehallError(
                f"The parsing maps have the class {len(counts) - 1}, but the generator predicts {classes} classes: set "
                "generator.classes, or choose other annotations (data.annotations)."
            )
        total = gather(counts).sum(0)  # of the whole batch, across processes and threads
        weight = (total.clamp(min=1) / total.sum()) ** -self.balance
        weights = gather((weight * counts).sum())
        errors = F.cross_entropy(logits.float(), wanted, weight, reduction="sum")
        return errors * len(weights) / weights.sum()
