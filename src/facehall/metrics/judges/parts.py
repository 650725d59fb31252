"""PSNR inside the features of the face."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.faces.labels import BROWS, EYES, LIPS_CLASS, MOUTH_CLASS, NOSE_CLASS
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure


@register
class PartsPSNR(Judge):
    """PSNR over the pixels of brows, eyes, nose, lips and mouth: what makes a face a person.

    Needs annotations with parsing maps (``facehall annotate``). The mean of the pictures that show any of these
    classes.

    Args:
        classes: numbers of the classes in the parsing map; those of the scheme ``faces9`` by default.
    """

    measure = Measure(
        *("psnr_parts", "PSNR parts", "higher", ".2f", "dB"),
        needs=("sr_whole", "hr_whole", "parsing"),
        headline=False,
        description="PSNR inside brows, eyes, nose, lips and mouth",
    )
    statistics = 2

    def __init__(self, classes: Sequence[int] = (BROWS, EYES, NOSE_CLASS, LIPS_CLASS, MOUTH_CLASS)) -> None:
        super().__init__()
        self.register_buffer("classes", torch.tensor(list(classes)), persistent=False)

    def forward(self, sr: Tensor, hr: Tensor, labels: Tensor) -> Tensor:
        if labels.shape[-2:] != hr.shape[-2:]:
            raise FacehallError(
                f"psnr_parts: the parsing maps are {tuple(labels.shape[-2:])} pixels, the pictures "
                f"{tuple(hr.shape[-2:])}: both must come from the same files (data.annotations)."
            )
        inside = torch.isin(labels, self.get_buffer("classes").to(labels))
        errors = (sr.double() - hr.double()).square().mean(dim=1)
        count = inside.sum((1, 2))
        psnr = -10 * ((errors * inside).sum((1, 2)) / count).log10()
        shown = count > 0
        return torch.stack([torch.where(shown, psnr, 0.0), shown.double()], dim=1)

    def figure(self, mean: Tensor) -> Tensor:
        return mean[..., 0] / mean[..., 1]
