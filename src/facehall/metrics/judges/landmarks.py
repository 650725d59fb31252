"""NME: how far SR moves the points of a face."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facehall.faces.mesh import Square
from facehall.metrics.faces import mesh_of, require_mesh
from facehall.metrics.judges.base import Judge, register
from facehall.metrics.measures import Measure


@register
class LandmarkError(Judge):
    """Mean distance of the 468 points of MediaPipe's face mesh on SR from those on HR, in % of the eyes' distance.

    The network is told where the face is: it looks at SR in the square found on HR, and again in the square of the
    points that it sees there, as on HR. Pictures without a face on HR are left out.

    Raises:
        FacehallError: the face mesh is unavailable.
    """

    measure = Measure(
        *("nme", "NME", "lower", ".2f", "%"),
        needs=("sr_whole", "hr_whole"),
        headline=False,
        description="mean distance of 468 face mesh points from those on HR, in % of the eye distance",
    )
    statistics = 2

    def __init__(self) -> None:
        super().__init__()
        require_mesh()

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return (B, 2): the error and 1, or 0 and 0 without a face."""
        return torch.tensor([_error(a, b) for a, b in zip(sr, hr, strict=True)], dtype=torch.float64, device=sr.device)

    def figure(self, mean: Tensor) -> Tensor:
        return mean[..., 0] / mean[..., 1]


def _error(sr: Tensor, hr: Tensor) -> tuple[float, float]:
    known = mesh_of(hr)
    if not known.found:
        return 0.0, 0.0
    seen = mesh_of(sr, Square.of_mesh(known.points))
    distances = np.linalg.norm(seen.points[:, :2] - known.points[:, :2], axis=1)
    return 100 * float(distances.mean()) / known.eye_distance, 1.0
