"""Resampling with OpenCV or like MATLAB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from facehall.data.degradations.steps import Sizes, Step, register
from facehall.imaging import resize_bicubic

Mode = Literal["area", "bilinear", "bicubic", "matlab"]
_OPENCV = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


@register
@dataclass(frozen=True)
class Resize(Step):
    """Resample to `factor` times the sides of the HR patch or of the LR image, at least one pixel.

    Args:
        factor: scale factor; may exceed 1.
        of: "hr" or "lr"; every program ends at factor 1 of "lr".
        mode: OpenCV's area (averages when shrinking, bilinear otherwise), bilinear or bicubic (both without
            antialiasing, so that shrinking aliases as in much software), or matlab (antialiased bicubic).
    """

    op = "resize"
    factor: float
    of: Literal["hr", "lr"]
    mode: Mode

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        height, width = (max(1, round(side * self.factor)) for side in getattr(sizes, self.of))
        if self.mode == "matlab":
            planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            return np.ascontiguousarray(resize_bicubic(planes, (height, width)).numpy().transpose(1, 2, 0))
        return cv2.resize(image, (width, height), interpolation=_OPENCV[self.mode])
