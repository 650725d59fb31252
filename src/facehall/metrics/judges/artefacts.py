"""GAN artefacts that PSNR hardly reflects: colour drift and upsampling checkerboard."""

from __future__ import annotations

import torch
from torch import Tensor

from facehall.metrics.checkerboard import grid_energy
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure


@register
class ColourDrift(Judge):
    """Mean of SR - HR over all images for the worst channel, in levels of 255."""

    measure = Measure(
        *("color_drift", "colour drift", "lower", ".2f", "levels"),
        needs=("sr_exact", "hr_exact"),
        headline=False,
        description="mean of SR - HR over all images, worst channel, levels of 255",
    )
    statistics = 3

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the drift of each channel in [-1, 1], (B, C)."""
        return (sr - hr).mean((-2, -1))

    def figure(self, mean: Tensor) -> Tensor:
        return 255 * mean.abs().amax(-1)


@register
class Checkerboard(Judge):
    """Grid of dots left by upsampling in flat regions, in excess of HR's.

    Its standard deviation in levels of 255, over all images that are large enough; NaN if none is. See
    `facehall.metrics.checkerboard`.
    """

    measure = Measure(
        *("checkerboard", "checkerboard", "lower", ".2f", "levels"),
        needs=("sr_exact", "hr_exact", "scale"),
        headline=False,
        description="grid of dots on flat regions beyond HR's, standard deviation in levels of 255",
    )
    statistics = 3

    def forward(self, sr: Tensor, hr: Tensor, scale: int) -> Tensor:
        """Return (B, 3): the grid energies of SR and HR, and 1 if the image is large enough; else all 0."""
        grids = torch.stack([grid_energy(images, hr, scale) for images in (sr, hr)], dim=1)
        seen = grids.isfinite().all(1, keepdim=True)
        return torch.cat((grids.where(seen, 0), seen), dim=1)

    def figure(self, mean: Tensor) -> Tensor:
        ours, theirs, seen = mean.unbind(-1)
        return 255 * ((ours - theirs.clamp(min=0)).clamp(min=0) / seen).sqrt()
