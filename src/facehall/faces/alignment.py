"""Faces cut out upright and put back: similarities between a photograph and FFHQ's frame, and exact resampling.

Coordinates are continuous: (0, 0) is the picture's corner and pixel (i, j) covers [i, i + 1) x [j, j + 1), so that
changing the resolution is a multiplication, without offsets of half a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from facehall.faces.templates import FFHQ_FIVE

FFHQ_POINTS = np.array(FFHQ_FIVE) / 512
"""Mean positions of both eyes, nose tip and mouth corners in aligned FFHQ faces; unit square."""
FACE_IN_CROP = 0.55
"""Side of a face, forehead to chin, relative to that of its aligned crop."""


@dataclass(frozen=True)
class Similarity:
    """Rotation, uniform scaling and shift of the plane, z -> rotation z + shift with z = x + iy."""

    rotation: complex
    shift: complex

    @property
    def scale(self) -> float:
        return abs(self.rotation)

    @property
    def degrees(self) -> float:
        """Rotation in degrees, clockwise on a screen."""
        return math.degrees(math.atan2(self.rotation.imag, self.rotation.real))

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3): (x, y, 1) -> (x, y)."""
        a, b = self.rotation, self.shift
        return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])

    @staticmethod
    def from_matrix(matrix: np.ndarray) -> Similarity:
        """Invert `matrix`; raise ValueError if the matrix is not one of a similarity."""
        (a, minus_b, x), (b, same, y) = np.asarray(matrix, dtype=np.float64)
        if not np.allclose([a, b], [same, -minus_b], rtol=1e-6, atol=1e-12) or not np.isfinite(matrix).all():
            raise ValueError("not the matrix of a rotation, scaling and shift")
        return Similarity(complex(a, b), complex(x, y))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 2)."""
        return np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]

    @property
    def inverse(self) -> Similarity:
        return Similarity(1 / self.rotation, -self.shift / self.rotation)

    def scaled(self, before: float = 1.0, after: float = 1.0) -> Similarity:
        """Return the map for pictures resized by `before` at its source and by `after` at its target."""
        return Similarity(self.rotation * after / before, self.shift * after)


def fit(source: np.ndarray, target: np.ndarray) -> Similarity:
    """Return the similarity that maps points (N, 2) to others with the least squared error (Umeyama 1991).

    Raises:
        ValueError: if all source points coincide.
    """
    p, q = (points[:, 0] + 1j * points[:, 1] for points in (np.asarray(source, float), np.asarray(target, float)))
    centred = p - p.mean()
    spread = float((np.abs(centred) ** 2).sum())
    if not math.isfinite(spread) or spread < 1e-12:
        raise ValueError("the points of a face coincide")
    rotation = complex((centred.conj() * (q - q.mean())).sum() / spread)
    return Similarity(rotation, complex(q.mean() - rotation * p.mean()))


def to_ffhq(points: np.ndarray) -> Similarity:
    """Return the map from a photograph to the unit square of FFHQ's frame, from five points as in `FFHQ_POINTS`."""
    return fit(points, FFHQ_POINTS)


def bounds(similarity: Similarity, side: float) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of the upright rectangle around the source of the target square [0, side]²."""
    corners = similarity.inverse(np.array([(0, 0), (side, 0), (0, side), (side, side)], float))
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True)
class Spline:
    """A cubic B-spline through the pixels of an image, evaluated anywhere; mirrored beyond the border.

    Flatter up to the Nyquist frequency than the convolution kernels of picture libraries, and without their rounding
    of positions to 1/32 of a pixel (Unser 1999, "Splines: a perfect fit for signal and image processing").
    """

    coefficients: np.ndarray

    @staticmethod
    def of(image: np.ndarray) -> Spline:
        """Prepare an image (H, W, C)."""
        planes = np.moveaxis(np.asarray(image, np.float32), -1, 0)
        return Spline(np.stack([ndimage.spline_filter(plane, 3, np.float32, mode="reflect") for plane in planes]))

    def sample(self, to_image: Similarity, size: tuple[int, int]) -> np.ndarray:
        """Return (h, w, C) float32: at each pixel of a grid of h x w, the value where `to_image` maps its centre."""
        matrix = to_image.matrix
        # From the pixel's index (row, column) to that of the image: centres are at +0.5 on both sides.
        linear = matrix[::-1, 1::-1]
        offset = linear @ [0.5, 0.5] + matrix[::-1, 2] - 0.5
        planes = [
            ndimage.affine_transform(plane, linear, offset, size, np.float32, order=3, mode="reflect", prefilter=False)
            for plane in self.coefficients
        ]
        return np.stack(planes, axis=-1)
