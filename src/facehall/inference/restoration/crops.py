"""Aligned crops: cut out of a photograph at the face's own resolution, restored in batches, checked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facehall.faces.alignment import Similarity, Spline, bounds
from facehall.imaging import Picture, downscale_bicubic, resize_bicubic, to_tensor, upscale_bicubic
from facehall.inference.restoration.planning import PlannedFace

MARGIN = 8
"""Pixels around a crop's source that the spline takes into account."""
CONSISTENCY_STEPS = 8
MAX_BATCH_PIXELS = 160**2
"""Input pixels of a batch: bounds its memory, some 0.6 GB in float32 for the default x4 network."""

Identity = Callable[[Tensor, Tensor], float]
"""Similarity, larger is more alike, of two faces (3, n, n) in [0, 1], both in FFHQ's frame; n may differ."""


def cut(picture: Picture, face: PlannedFace) -> Tensor:
    """Cut the aligned crop out of a photograph, antialiased; (3, side, side) in [0, 1], grey if the picture is."""
    height, width = picture.rgb.shape[:2]
    step = face.reduction
    left, top, right, bottom = bounds(face.to_crop, 1.0)
    first = [
        _clip((math.floor(edge) - MARGIN * step) // step * step, 0, side)
        for edge, side in ((left, width), (top, height))
    ]
    last = [_clip(math.ceil(edge) + MARGIN * step, 0, side) for edge, side in ((right, width), (bottom, height))]
    # A face whose crop lies outside of the picture still needs pixels to mirror.
    first = [min(edge, max(0, side - step)) // step * step for edge, side in zip(first, (width, height), strict=True)]
    last = [max(edge, start + 1) for edge, start in zip(last, first, strict=True)]
    region = to_tensor(picture.rgb[first[1] : last[1], first[0] : last[0]])
    if step > 1:
        padded = torch.nn.functional.pad(
            region[None], (0, -region.shape[2] % step, 0, -region.shape[1] % step), mode="replicate"
        )
        region = downscale_bicubic(padded[0], step)
    to_region = face.to_crop.inverse.scaled(before=face.side, after=1 / step)
    to_region = Similarity(to_region.rotation, to_region.shift - complex(*first) / step)
    sampled = Spline.of(region.permute(1, 2, 0).numpy()).sample(to_region, (face.side, face.side))
    crop = torch.from_numpy(sampled).permute(2, 0, 1).clamp(0, 1)
    return grey(crop) if picture.grey else crop.contiguous()


def grey(images: Tensor) -> Tensor:
    """Replace the channels of (..., 3, H, W) by their mean."""
    return images.mean(dim=-3, keepdim=True).expand_as(images).contiguous()


def batches(faces: Sequence[PlannedFace]) -> Iterator[list[int]]:
    """Group faces of equal crops; yield indices."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index, face in enumerate(faces):
        groups[face.side].append(index)
    for side, members in sorted(groups.items()):
        size = max(1, MAX_BATCH_PIXELS // side**2)
        yield from (members[start : start + size] for start in range(0, len(members), size))


def consistent(sr: Tensor, lr: Tensor, steps: int = CONSISTENCY_STEPS) -> Tensor:
    """Back-project (Irani & Peleg 1991): change `sr` until its bicubic reduction is `lr`; both (B, 3, H, W).

    Values beyond [0, 1] are clamped in each step, so that saturated pixels converge too.
    """
    scale = sr.shape[-1] // lr.shape[-1]
    for _ in range(steps):
        sr = (sr + upscale_bicubic(lr - downscale_bicubic(sr, scale), scale)).clamp(0, 1)
    return sr


def inconsistency(sr: Tensor, lr: Tensor) -> float:
    """Return the mean absolute difference of the bicubic reduction of `sr` and `lr`, in 8-bit levels."""
    return 255 * float((downscale_bicubic(sr, sr.shape[-1] // lr.shape[-1]) - lr).abs().mean())


@dataclass(frozen=True)
class Likeness:
    """Similarity to the input, of a restored face and of the least that is accepted."""

    restored: float
    required: float

    @property
    def passes(self) -> bool:
        return self.restored >= self.required


def likeness(identity: Identity, sr: Tensor, lr: Tensor, enough: float = math.inf) -> Likeness:
    """Compare a restored face (3, s n, s n) with its input (3, n, n) in the eyes of a recogniser.

    Required is what bicubic keeps of an identity: the similarity of the input with itself reduced by two and enlarged
    again. A restored face may not be further from the input than one octave of lost detail; the smaller the face, the
    less the recogniser sees in it, and the more is accepted. No more than `enough` is required, though.
    """
    side = lr.shape[-1]
    half = resize_bicubic(lr, (side // 2, side // 2))
    bicubic = resize_bicubic(half, (side, side)).clamp(0, 1)
    return Likeness(identity(sr, lr), min(identity(bicubic, lr), enough))


def _clip(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
