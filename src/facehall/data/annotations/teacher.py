"""Annotations made by networks: landmarks of the face mesh, and labels of the parts of the face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.schemes import FACES9, FIVE, IBUG68, MESH468, LandmarkScheme
from facehall.errors import FacehallError
from facehall.faces import mesh_points
from facehall.faces.labels import PersonMask, face_labels
from facehall.faces.mesh import FaceMesh, Square

Box = tuple[int, int, int, int]

LANDMARKS: dict[str, tuple[LandmarkScheme, Callable[[np.ndarray], np.ndarray]]] = {
    "ibug68": (IBUG68, lambda points: points[list(mesh_points.IBUG68)]),
    "mesh468": (MESH468, lambda points: points),
    "five": (FIVE, mesh_points.five_of_mesh),
}
"""The landmarks that can be made, by the names of their schemes."""


class Annotator:
    """Annotates pictures of one face.

    Args:
        landmarks: a key of LANDMARKS, or None.
        parsing: also label the parts of the face (FACES9).

    Raises:
        FacehallError: unknown landmarks, nothing to do, or the networks are unavailable.
    """

    def __init__(self, landmarks: str | None = "ibug68", parsing: bool = True) -> None:
        if landmarks is not None and landmarks not in LANDMARKS:
            raise FacehallError(f"landmarks={landmarks}: unknown; give {', '.join(LANDMARKS)} or null.")
        if landmarks is None and not parsing:
            raise FacehallError("landmarks=null and parsing=false: nothing is left to annotate.")
        self._landmarks = None if landmarks is None else LANDMARKS[landmarks]
        self._mesh = FaceMesh()
        self._person = PersonMask() if parsing else None

    def __call__(self, picture: np.ndarray, box: Box | None = None) -> Annotations | None:
        """Return the annotations of a picture, or None if no face is seen.

        Args:
            picture: (H, W, 3) uint8.
            box: (left, top, right, bottom) of the crop with the face; None: the whole picture.
        """
        square = None
        if box is not None:
            left, top, right, bottom = box
            square = Square((left + right - 1) / 2, (top + bottom - 1) / 2, max(right - left, bottom - top))
        mesh = self._mesh(picture, square)
        if not mesh.found:
            return None
        size = (picture.shape[0], picture.shape[1])
        labels = None if self._person is None else face_labels(mesh, self._person(picture))
        found = Annotations(size, None, labels, None, None, None if labels is None else FACES9)
        if self._landmarks is None:
            return found
        scheme, choose = self._landmarks
        return replace(found, landmarks=choose(mesh.points[:, :2]), landmark_scheme=scheme)
