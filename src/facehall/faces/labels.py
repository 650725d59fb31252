"""Labels of the parts of a face, drawn from the face mesh and a mask of the person: teachers for face parsing.

No package carries a face parser. The mesh gives the parts with sharp outlines; what else belongs to the person is hair
(with ears and hats) above the chin, and neck (with clothes) below it. Known weaknesses: long hair below the chin counts
as neck, a fringe as skin, and the far side of a profile is too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facehall.assets.wheel_files import SELFIE_SEGMENTATION, resolve_wheel_file
from facehall.faces.mesh import Mesh
from facehall.faces.mesh_points import (
    CHIN,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    MOUTH,
    NOSE,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)
from facehall.faces.tflite import load_tflite

CLASSES = ("background", "skin", "brows", "eyes", "nose", "lips", "mouth", "hair", "neck")
"""Names of the classes by number: the scheme ``faces9`` of annotations."""
BACKGROUND, SKIN, BROWS, EYES, NOSE_CLASS, LIPS_CLASS, MOUTH_CLASS, HAIR, NECK = range(9)

_PARTS: tuple[tuple[int, Sequence[int], bool], ...] = (
    (SKIN, OVAL, False),
    (NOSE_CLASS, NOSE, True),
    (BROWS, RIGHT_BROW, True),
    (BROWS, LEFT_BROW, True),
    (EYES, RIGHT_EYE, False),
    (EYES, LEFT_EYE, False),
    (LIPS_CLASS, LIPS, False),
    (MOUTH_CLASS, MOUTH, False),
)
"""Class, points, and whether their convex hull is filled instead of the outline; later parts cover earlier ones."""
_SHIFT = 4  # fractional bits of OpenCV's polygon coordinates
_SIDE = 256  # input of the segmentation network


class PersonMask:
    """MediaPipe's selfie segmentation: which pixels belong to a person.

    Args:
        weights: the file selfie_segmentation.tflite; None finds or downloads it.

    Raises:
        FacehallError: the weights are unavailable or unreadable.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        path = resolve_wheel_file(SELFIE_SEGMENTATION, weights)
        self._network = load_tflite(path, ["activation_10"], backend="opencv")  # OpenVINO lacks an operation of it

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Return the probability of each pixel: (H, W, 3) uint8 -> (H, W) float32 in [0, 1]."""
        small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        (found,) = self._network(small)
        height, width = picture.shape[:2]
        return cv2.resize(found.reshape(_SIDE, _SIDE), (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 1)


def face_labels(mesh: Mesh, person: np.ndarray) -> np.ndarray:
    """Draw the classes of a face.

    Args:
        mesh: its points, in pixels of the picture.
        person: (H, W) probability that a pixel belongs to a person.

    Returns:
        (H, W) uint8, numbers of CLASSES.
    """
    height, width = person.shape
    rows, columns = np.mgrid[:height, :width]
    (right, left), chin = mesh.five[:2], mesh.points[CHIN, :2]
    down = np.array([right[1] - left[1], left[0] - right[0]])  # across the line of the eyes, towards the mouth
    below = (columns - chin[0]) * down[0] + (rows - chin[1]) * down[1] > 0
    labels = np.where(person > 0.5, np.where(below, NECK, HAIR), BACKGROUND).astype(np.uint8)
    for label, numbers, hull in _PARTS:
        polygon = np.round(mesh.points[list(numbers), :2] * 2**_SHIFT).astype(np.int32)
        if hull:
            polygon = cv2.convexHull(polygon)[:, 0]
        cv2.fillPoly(labels, [polygon], int(label), shift=_SHIFT)
    return labels
