"""The identity loss: SR and HR should be the same person to a face recognition network."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.faces.mesh_points import COUNT, FIVE_GROUPS
from facehall.faces.recognition import Recogniser
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.heatmaps import Template, check_template, five_points, landmark_points
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


class RecognitionLoss(LossTerm):
    """1 - similarity of SR and HR to one of the recognition networks that facehall knows, averaged over the batch.

    Both are aligned by the same points, so patches must show whole faces. What a loss has seen is no judge any more:
    the measures of identity use dlib's network, so it is the one to avoid here.

    Args:
        network: ``facehall`` (our own, in the package), ``mobileface``, ``faceres`` or ``dlib``.
        weights: folder of its files, or the file of ``facehall``; None finds or downloads them.
        template: eye centres, nose tip and mouth corners [x, y] relative to the picture, for aligned faces without
            landmarks; null requires landmarks (5, 68 or 468 of them).

    Raises:
        ValueError: an invalid template.
        FacehallError: unknown network or unavailable weights; when called, another number of landmarks.
    """

    def __init__(
        self, network: str = "facehall", weights: str | Path | None = None, template: Template | None = None
    ) -> None:
        super().__init__()
        self.frozen = Frozen(Recogniser(network, weights))
        self.template = check_template(template)
        self.needs = ("outputs.sr", "batch.hr", *(("batch.landmarks",) if template is None else ()))
        self.measure = "identity" if network == "dlib" else None

    @property
    def recogniser(self) -> Recogniser:
        """The network."""
        return cast(Recogniser, self.frozen.network)

    @property
    def description(self) -> str:
        return f"identity by {self.recogniser.name}"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"], batch["hr"]
        places = _five(landmark_points(batch, self.template))
        with torch.autocast(sr.device.type, enabled=False):
            found, known = (self._embed(images, places) for images in (sr.float(), hr.float()))
            return (1 - self.recogniser.similarity(found, known.detach())).mean()

    def _embed(self, images: Tensor, places: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return self.recogniser(images, places * places.new_tensor([width, height]) - 0.5)


def _five(points: Tensor) -> Tensor:
    if points.shape[1] == 5:
        return points
    if points.shape[1] == 68:
        return five_points(points)
    if points.shape[1] == COUNT:
        return torch.stack([points[:, list(group)].mean(dim=1) for group in FIVE_GROUPS], dim=1)
    raise FacehallError(
        f"The identity loss aligns faces by 5, 68 or 468 landmarks, but the pictures have {points.shape[1]}: choose "
        "other annotations (data.annotations)."
    )
