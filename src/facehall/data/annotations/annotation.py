"""Annotations of a picture, and how crops, resizing and symmetries transform them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facehall.data.annotations.schemes import LandmarkScheme, ParsingScheme
from facehall.imaging.symmetry import is_mirror, transform, transform_points

KINDS = ("landmarks", "parsing", "identity")
"""Kinds of annotation, which are also their batch keys."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """Landmarks, parsing map and identity of one picture; each is optional.

    Attributes:
        size: (height, width) of the picture described.
        landmarks: (N, 2) float32, x and y in pixels; the centre of the top-left pixel is (0, 0), so its corner is
            (-0.5, -0.5). A crop keeps landmarks outside its bounds.
        parsing: (height, width) uint8, class of each pixel.
        identity: number of the person.
        landmark_scheme, parsing_scheme: names of the landmarks and classes; required with landmarks or parsing.
    """

    size: tuple[int, int]
    landmarks: np.ndarray | None = None
    parsing: np.ndarray | None = None
    identity: int | None = None
    landmark_scheme: LandmarkScheme | None = None
    parsing_scheme: ParsingScheme | None = None

    def __post_init__(self) -> None:
        if self.landmarks is not None and (
            self.landmark_scheme is None or self.landmarks.shape != (len(self.landmark_scheme), 2)
        ):
            raise ValueError(f"landmarks {self.landmarks.shape} do not follow the scheme {self.landmark_scheme}")
        if self.parsing is not None and (self.parsing_scheme is None or self.parsing.shape != self.size):
            raise ValueError(
                f"a parsing map needs a scheme and the shape {self.size} of its picture, not {self.parsing.shape}"
            )

    @property
    def kinds(self) -> frozenset[str]:
        """The KINDS that are present."""
        return frozenset(kind for kind in KINDS if getattr(self, kind) is not None)

    def crop(self, box: tuple[int, int, int, int]) -> Annotations:
        """Return the annotations of the crop [top:bottom, left:right].

        Args:
            box: (left, top, right, bottom) in pixels, inside the picture.
        """
        left, top, right, bottom = box
        if not (0 <= left < right <= self.size[1] and 0 <= top < bottom <= self.size[0]):
            raise ValueError(f"box {box} is not inside a picture of {self.size[1]}x{self.size[0]}")
        return replace(
            self,
            size=(bottom - top, right - left),
            landmarks=None if self.landmarks is None else self.landmarks - np.array([left, top], np.float32),
            parsing=None if self.parsing is None else self.parsing[top:bottom, left:right],
        )

    def resize(self, size: tuple[int, int]) -> Annotations:
        """Return the annotations of the picture resampled to `size` (height, width), edges aligned (`resize_bicubic`).

        Parsing maps use nearest-neighbour sampling, because class numbers cannot be averaged.
        """
        if size == self.size:
            return self
        factors = np.array([size[1] / self.size[1], size[0] / self.size[0]])
        landmarks = None if self.landmarks is None else (self.landmarks + 0.5) * factors - 0.5
        parsing = self.parsing
        if parsing is not None:
            rows, columns = (_nearest(old, new) for old, new in zip(self.size, size, strict=True))
            parsing = parsing[rows[:, None], columns]
        return replace(
            self, size=size, landmarks=None if landmarks is None else landmarks.astype(np.float32), parsing=parsing
        )

    def symmetry(self, which: int) -> Annotations:
        """Return the annotations after `facehall.imaging.symmetry.transform`; mirroring swaps left and right labels."""
        landmarks, parsing = self.landmarks, self.parsing
        if landmarks is not None:
            landmarks = transform_points(landmarks, self.size, which)
            if is_mirror(which):
                assert self.landmark_scheme is not None
                landmarks = landmarks[list(self.landmark_scheme.mirror)]
        if parsing is not None:
            parsing = transform(parsing, which)
            if is_mirror(which):
                assert self.parsing_scheme is not None
                parsing = np.array(self.parsing_scheme.mirror, np.uint8)[parsing]
        size = self.size if which % 2 == 0 else (self.size[1], self.size[0])
        return replace(self, size=size, landmarks=landmarks, parsing=parsing)

    def tensors(self) -> dict[str, Tensor]:
        """Convert to tensors for a batch.

        Returns:
            those present: landmarks (N, 2) float32, parsing (height, width) int64 as cross entropy expects,
            identity () int64.
        """
        found: dict[str, Tensor] = {}
        if self.landmarks is not None:
            found["landmarks"] = torch.from_numpy(np.array(self.landmarks, np.float32))
        if self.parsing is not None:
            found["parsing"] = torch.from_numpy(self.parsing.astype(np.int64))
        if self.identity is not None:
            found["identity"] = torch.tensor(self.identity, dtype=torch.int64)
        return found


def _nearest(old: int, new: int) -> np.ndarray:
    """Return the index of the old pixel that contains the centre of each new pixel."""
    return ((2 * np.arange(new) + 1) * old) // (2 * new)
