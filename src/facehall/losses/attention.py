"""PFSR's attention loss: pixels near facial landmarks count."""

from __future__ import annotations

from torch import Tensor

from facehall.losses.base import Batch, LossTerm, Outputs
from facehall.losses.heatmaps import Template, check_sigma, check_template, gaussian_heatmaps, landmark_points


class LandmarkAttentionLoss(LossTerm):
    """mean(M |SR - HR|), M the maximum of all landmarks' Gaussians (Kim et al., BMVC 2019).

    The authors take the heatmaps from a landmark network on HR; here they come from annotations or, for aligned faces
    without any, from fixed places.

    Args:
        sigma: standard deviation of the Gaussians relative to the picture's shorter side.
        template: points [x, y] relative to the picture, for pictures without landmarks; null requires landmarks.

    Raises:
        ValueError: `sigma` is not positive, or an invalid template.
    """

    def __init__(self, sigma: float = 0.05, template: Template | None = None) -> None:
        super().__init__()
        self.sigma = check_sigma(sigma)
        self.template = check_template(template)
        self.needs = ("outputs.sr", "batch.hr", *(("batch.landmarks",) if template is None else ()))

    @property
    def description(self) -> str:
        return "L1 near landmarks" + ("" if self.template is None else ", of a template without annotations")

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        sr, hr = outputs["sr"], batch["hr"]
        heatmaps = gaussian_heatmaps(landmark_points(batch, self.template), hr.shape[-2:], self.sigma)
        return (heatmaps.amax(dim=1, keepdim=True) * (sr - hr).abs()).mean()
