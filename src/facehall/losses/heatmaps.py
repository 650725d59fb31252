"""Heatmaps of facial landmarks: Gaussians at known places, and the loss of predicted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.losses.base import Batch, LossTerm, Outputs

Template = Sequence[Sequence[float]]
_EYES_NOSE_MOUTH = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))
"""The points of 68 (iBUG) whose means are the 5 of eyes, nose tip and mouth corners."""


def check_template(template: Template | None) -> Tensor | None:
    """Return a template as a tensor (N, 2).

    Raises:
        ValueError: not a list of [x, y] in [0, 1].
    """
    if template is None:
        return None
    points = [list(point) for point in template]
    if not points or not all(len(point) == 2 and all(0 <= value <= 1 for value in point) for point in points):
        raise ValueError(f"template must be a list of points [x, y] relative to the picture, in [0, 1], not {points}")
    return torch.tensor(points, dtype=torch.float32)


def check_sigma(sigma: float) -> float:
    """Return a standard deviation.

    Raises:
        ValueError: not above 0.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, not {sigma}")
    return float(sigma)


def landmark_points(batch: Batch, template: Tensor | None) -> Tensor:
    """Return the landmarks of a batch or, for pictures without annotations, those of aligned faces.

    Args:
        batch: with ``hr`` (B, 3, H, W), and ``landmarks`` (B, N, 2), x and y in HR pixels, if annotated.
        template: (N, 2), x and y relative to width and height, for batches without landmarks.

    Returns:
        (B, N, 2) relative to width and height: the top left corner of the picture is (0, 0).
    """
    height, width = batch["hr"].shape[-2:]
    if "landmarks" in batch:
        return (batch["landmarks"] + 0.5) / batch["hr"].new_tensor([width, height])
    assert template is not None  # else `needs` has batch.landmarks
    return template.to(batch["hr"]).expand(len(batch["hr"]), -1, -1)


def five_points(points: Tensor) -> Tensor:
    """Reduce 68 points (iBUG) to eyes, nose tip and mouth corners, right one first: (B, 68, 2) -> (B, 5, 2)."""
    return torch.stack([points[:, list(group)].mean(dim=1) for group in _EYES_NOSE_MOUTH], dim=1)


def gaussian_heatmaps(points: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """Return Gaussians at points, 1 at their centres.

    Args:
        points: (B, N, 2), x and y relative to width and height.
        size: (height, width) of the heatmaps.
        sigma: standard deviation relative to the shorter side.

    Returns:
        (B, N, height, width) in [0, 1].
    """
    height, width = size
    deviation = sigma * min(size)
    profiles = []
    for axis, side in ((1, height), (0, width)):
        centres = torch.arange(side, device=points.device, dtype=points.dtype) + 0.5
        distance = (centres - points[..., axis, None] * side) / deviation
        profiles.append(torch.exp(-distance.square() / 2))
    rows, columns = profiles
    return rows[..., :, None] * columns[..., None, :]


class LandmarkLoss(LossTerm):
    """Mean squared error of predicted heatmaps: the mean over all sizes at which the generator predicts them.

    Reads ``outputs["heatmaps"]``, {any key: (B, N, h, w)}.

    Args:
        sigma: standard deviation of the Gaussians relative to the picture's shorter side.
        template: points [x, y] relative to the picture, for pictures without landmarks; null requires landmarks.

    Raises:
        ValueError: `sigma` is not positive, or an invalid template.
        FacehallError: when called, another number of landmarks than the generator predicts, except 5 of 68.
    """

    def __init__(self, sigma: float = 0.05, template: Template | None = None) -> None:
        super().__init__()
        self.sigma = check_sigma(sigma)
        self.template = check_template(template)
        self.needs = ("outputs.heatmaps", "batch.hr", *(("batch.landmarks",) if template is None else ()))

    @property
    def description(self) -> str:
        return "landmark heatmaps" + ("" if self.template is None else ", of a template without annotations")

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        predicted: Mapping[int, Tensor] = outputs["heatmaps"]
        points = landmark_points(batch, self.template)
        terms = []
        for heatmaps in predicted.values():
            known = _as_many(points, heatmaps.shape[1])
            terms.append(F.mse_loss(heatmaps, gaussian_heatmaps(known, heatmaps.shape[-2:], self.sigma)))
        return torch.stack(terms).mean()


def _as_many(points: Tensor, count: int) -> Tensor:
    if points.shape[1] == 68 and count == 5:
        return five_points(points)
    if points.shape[1] != count:
        raise FacehallError(
            f"The generator predicts {count} landmarks, but the pictures have {points.shape[1]}: set "
            f"generator.landmarks={points.shape[1]}, or choose other annotations (data.annotations)."
        )
    return points
