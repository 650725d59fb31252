"""The identity loss: SR and HR should be the same person to a face recognition network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.models.frozen import Frozen


class IdentityLoss(LossTerm):
    """1 - cosine similarity of the embeddings of SR and HR, averaged over the batch. No gradient flows through HR.

    EIPNet's paper compares a classifier's distributions of features; its code has no such term, and this is ours.

    Args:
        embedder: images (B, 3, H, W) in [0, 1] -> embeddings (B, D), differentiable; a class of your own package.
    """

    def __init__(self, embedder: nn.Module) -> None:
        super().__init__()
        self.embedder = Frozen(embedder)

    @property
    def description(self) -> str:
        return f"identity by {type(self.embedder.network).__name__}"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        with torch.no_grad():
            known = self.embedder(batch["hr"])
        return (1 - F.cosine_similarity(self.embedder(outputs["sr"]), known)).mean()
