"""Occlusions of faces: parts of the LR picture painted over with the key colour of `facehall.imaging.occlusion`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facehall.data.degradations.base import interval, probability, uniform
from facehall.data.degradations.program import ProgramDegradation, set_fields
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Sizes, Step, register
from facehall.imaging.occlusion import OCCLUDED

_SUBPIXEL_BITS = 8
Point = list[float]


@register
@dataclass(frozen=True)
class Occlude(Step):
    """Paint a polygon, or a line if it has a width, with the key colour.

    Args:
        points: [x, y] each, relative to the picture's width and height.
        width: of the line, relative to the shorter side; 0 fills the polygon.
    """

    op = "occlude"
    points: Sequence[Point]
    width: float = 0.0

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        height, width = image.shape[:2]
        corners = np.array(self.points) * (width, height) - 0.5  # centre of the top left pixel: (0, 0)
        fixed = np.round(corners * 2**_SUBPIXEL_BITS).astype(np.int32)
        hidden = np.zeros((height, width), np.uint8)
        if self.width:
            thickness = max(1, round(self.width * min(height, width)))
            cv2.polylines(hidden, [fixed], isClosed=False, color=1, thickness=thickness, shift=_SUBPIXEL_BITS)
        else:
            cv2.fillPoly(hidden, [fixed], color=1, shift=_SUBPIXEL_BITS)
        return np.where(hidden[..., None] == 1, np.array(OCCLUDED, np.float32), image)


@dataclass(frozen=True)
class OccludedDegradation(ProgramDegradation):
    """The protocol's bicubic, then one random occlusion: a rectangle, a free stroke, or a face mask.

    For networks that complete occluded faces, whose pictures are one upright face each (Pro-UIGAN: Zhang et al.,
    TIP 2022, whose masks are unpublished; shapes and ranges are ours). A face mask covers the picture from below the
    eyes down, between the cheeks. Hidden LR pixels are magenta, as in pictures to be restored.

    Args:
        clear: probability of no occlusion.
        rectangle: range of the sides of a rectangle, relative to the picture's.
        stroke: range of the width of a stroke, relative to the picture's shorter side.
        mask: range of the height of the upper edge of a face mask, relative to the picture's, from the top.

    Raises:
        ValueError: a setting is out of range.
    """

    kind = "occluded"
    clear: float = 0.25
    rectangle: Sequence[float] = (0.2, 0.5)
    stroke: Sequence[float] = (0.05, 0.2)
    mask: Sequence[float] = (0.5, 0.6)

    def __post_init__(self) -> None:
        set_fields(
            self,
            clear=probability("clear", self.clear),
            rectangle=interval("rectangle", self.rectangle, 0.01, 1),
            stroke=interval("stroke", self.stroke, 0.01, 1),
            mask=interval("mask", self.mask, 0, 1),
        )

    def steps(self, rng: np.random.Generator) -> Sequence[Step]:
        shrink = Resize(1.0, "lr", "matlab")
        if rng.random() < self.clear:
            return [shrink]
        draw = (self._draw_rectangle, self._draw_stroke, self._draw_mask)[int(rng.integers(3))]
        return [shrink, draw(rng)]

    def _draw_rectangle(self, rng: np.random.Generator) -> Occlude:
        width, height = uniform(rng, self.rectangle), uniform(rng, self.rectangle)
        left, top = (uniform(rng, (0.0, 1.0 - side)) for side in (width, height))
        return Occlude([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])

    def _draw_stroke(self, rng: np.random.Generator) -> Occlude:
        """A random walk through the middle of the picture."""
        x, y = (uniform(rng, (0.2, 0.8)) for _ in range(2))
        angle = uniform(rng, (0.0, 2 * math.pi))
        points = [[x, y]]
        for _ in range(int(rng.integers(2, 6))):
            angle += uniform(rng, (-1.5, 1.5))
            x, y = x + 0.2 * math.cos(angle), y + 0.2 * math.sin(angle)
            points.append([x, y])
        return Occlude(points, uniform(rng, self.stroke))

    def _draw_mask(self, rng: np.random.Generator) -> Occlude:
        """Highest over the nose, narrower at the chin."""
        top, side, chin = uniform(rng, self.mask), uniform(rng, (0.1, 0.22)), uniform(rng, (0.88, 1.0))
        cheek = top + 0.08
        return Occlude(
            [
                [side, cheek],
                [0.5, top],
                [1 - side, cheek],
                [0.9 - side, chin - 0.08],
                [0.5, chin],
                [0.1 + side, chin - 0.08],
            ]
        )
