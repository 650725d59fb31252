"""Resampling to other sizes, by OpenCV's rules or by MATLAB's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from facehall.data.degradations.steps import Sizes, Step, register
from facehall.imaging import resize_bicubic

Mode = Literal["area", "bilinear", "bicubic", "matlab"]
_OPENCV = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


@register
@dataclass(frozen=True)
class Resize(Step):
    """Resample to `factor` times the sides of the HR patch or of the LR image, at least one pixel.

    Args:
        factor: may be above 1.
        of: "hr" or "lr"; factor 1 of "lr" is where every program ends.
        mode: OpenCV's area (averages when shrinking, bilinear otherwise), bilinear, bicubic (these two without
            antialiasing, so that shrinking aliases as careless software does), or matlab (antialiased bicubic).
    """

    op = "resize"
    factor: float
    of: Literal["hr", "lr"]
    mode: Mode

    def target(self, now: tuple[int, int], sizes: Sizes) -> tuple[int, int]:
        height, width = getattr(sizes, self.of)
        return max(1, round(height * self.factor)), max(1, round(width * self.factor))

    def single(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        height, width = self.target(image.shape[:2], sizes)
        if self.mode == "matlab":
            planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            return np.ascontiguousarray(resize_bicubic(planes, (height, width)).numpy().transpose(1, 2, 0))
        return cv2.resize(image, (width, height), interpolation=_OPENCV[self.mode])

    @staticmethod
    def batched(steps: Sequence[Resize], images: Tensor, sizes: Sizes) -> Tensor:
        old = (images.shape[-2], images.shape[-1])
        new = steps[0].target(old, sizes)
        if all(step.mode == "matlab" for step in steps):
            return resize_bicubic(images, new)
        rows, columns = (
            torch.from_numpy(np.stack([_weights(a, b, step.mode) for step in steps])).to(images)[:, None]
            for a, b in zip(old, new, strict=True)
        )
        return rows @ images @ columns.mT


def _weights(old: int, new: int, mode: Mode) -> np.ndarray:
    """What each new pixel takes of each old one, (new, old) float32: resampling is linear, so OpenCV itself says it."""
    identity = np.eye(old, dtype=np.float32)
    if mode == "matlab":
        return resize_bicubic(torch.from_numpy(identity), (new, old)).numpy()
    return cv2.resize(identity, (old, new), interpolation=_OPENCV[mode])
