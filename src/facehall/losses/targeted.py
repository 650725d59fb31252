"""SROBB's targeted perceptual loss: other features for boundaries than for backgrounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.distributed.gathering import gather
from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.regions import regions_of_labels, regions_of_picture
from facehall.models.frozen import Frozen

Labels = Literal["auto", "parsing", "picture"]


class TargetedPerceptualLoss(LossTerm):
    """Low-level features compared at boundaries, mid-level ones in backgrounds, none on objects.

    Rad et al., SROBB: Targeted Perceptual Loss for Single Image Super-Resolution, ICCV 2019. Each layer's squared
    differences are averaged over channels and over its region, weighted by the share of each position in the region. A
    batch without any of a region gives 0 for it.

    Args:
        extractor: images (B, 3, H, W) in [0, 1] -> {layer: features}.
        boundary, background: weights of the layers compared in each region; layers of the extractor.
        labels: the source of the regions: ``parsing``, the batch's parsing maps; ``picture``, edges found in HR;
            ``auto``, parsing maps if the data have them, else HR. See `facehall.losses.regions`.
        background_classes: the parsing classes of background; 0 in all of facehall's schemes.
        radius: of the boundaries' dilation, in HR pixels.
        sigma, contrast: of edges in HR, see `regions_of_picture`; unused with parsing maps.

    Raises:
        ValueError: other labels, no layer, a layer that the extractor does not give, or an invalid number.
    """

    def __init__(
        self,
        extractor: nn.Module,
        boundary: Mapping[str, float],
        background: Mapping[str, float],
        labels: Labels = "auto",
        background_classes: Sequence[int] = (0,),
        radius: int = 3,
        sigma: float = 2.0,
        contrast: tuple[float, float] = (0.05, 0.2),
    ) -> None:
        super().__init__()
        if labels not in get_args(Labels):
            raise ValueError(f"labels must be one of {', '.join(get_args(Labels))}, not {labels!r}")
        layers = [*boundary, *background]
        if not layers:
            raise ValueError("boundary and background name no layer: give at least one a weight")
        missing = [layer for layer in layers if layer not in getattr(extractor, "layers", layers)]
        if missing:
            raise ValueError(f"layer {missing[0]} is compared but not computed: add it to extractor.layers")
        if radius < 0 or sigma <= 0 or not 0 <= contrast[0] <= contrast[1]:
            raise ValueError("radius must be 0 or more, sigma above 0, and contrast two increasing numbers from 0 on")
        self.extractor = Frozen(extractor)
        self.boundary, self.background = dict(boundary), dict(background)
        self.labels = labels
        self.background_classes = tuple(background_classes)
        self.radius, self.sigma, self.contrast = radius, sigma, (contrast[0], contrast[1])
        if labels == "parsing":
            self.needs = ("outputs.sr", "batch.hr", "batch.parsing")

    @property
    def description(self) -> str:
        parts = (("boundaries", self.boundary), ("backgrounds", self.background))
        where = [f"{name} x {weight:g} in {region}" for region, layers in parts for name, weight in layers.items()]
        return f"{type(self.extractor.network).__name__}, {', '.join(where)}, labels from {self.labels}"

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"], batch["hr"]
        with torch.no_grad():
            regions = self.regions(batch)
            hr_features = self.extractor(hr)
        sr_features = self.extractor(sr)
        return torch.stack(
            [
                weight * masked_distance(sr_features[layer], hr_features[layer], region)
                for region, layers in zip(regions, (self.boundary, self.background), strict=True)
                for layer, weight in layers.items()
            ]
        ).sum()

    def regions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the masks of boundary and background, each (B, 1, H, W) bool."""
        if self.labels == "parsing" or (self.labels == "auto" and "parsing" in batch):
            return regions_of_labels(batch["parsing"], self.background_classes, self.radius)
        return regions_of_picture(batch["hr"], self.sigma, self.contrast, self.radius)


def masked_distance(sr: Tensor, hr: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared difference over a region of the whole batch.

    Processes and data threads with a part of the batch each return what their part contributes; the mean is the result.

    Args:
        sr, hr: features, (B, C, h, w).
        mask: (B, 1, H, W) bool; each position of the features is weighted by its share in the region.

    Returns:
        scalar; 0 if the region is empty, and less than the mean if it covers less than one position of the batch.
    """
    share = F.adaptive_avg_pool2d(mask.to(sr.dtype), (sr.shape[-2], sr.shape[-1]))
    error = (sr - hr).square().mean(dim=1, keepdim=True)
    regions = gather(share.sum())
    return (error * share).sum() * len(regions) / regions.sum().clamp(min=1.0)
