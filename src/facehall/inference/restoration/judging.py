"""Networks of others that make restoring safer: exact points, and whether a restored face is still the same person.

Embeddings are computed, compared and forgotten: only similarities leave this module.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facehall.assets import WeightsNotFoundError
from facehall.faces.alignment import FFHQ_POINTS
from facehall.faces.detection import Face
from facehall.faces.mesh import FaceMesh, Square
from facehall.faces.recognition import Recogniser
from facehall.imaging import eight_bits
from facehall.inference.restoration.planning import MAX_TURN

_log = logging.getLogger(__name__)

Refine = Callable[[np.ndarray, Face], Face]
"""A picture (H, W, 3) uint8 or uint16 and a detected face -> the same face with better points."""
MIN_MESH_EYES = 12.0
"""Pixels between the eyes below which the detector's points are as good as the mesh's."""
CONTEXT = 1.5
"""Pixels around a face's box that the mesh may look at, relative to the box."""


class MeshPoints:
    """Replaces a detector's points by those of MediaPipe's face mesh, which repeat five times as exactly."""

    def __init__(self, mesh: FaceMesh | None = None) -> None:
        self.mesh = mesh or FaceMesh()

    def __call__(self, rgb: np.ndarray, face: Face) -> Face:
        """Return the face with the mesh's points and yaw.

        It is unchanged where the mesh sees none, in tiny faces, and where the mesh sees a frontal face in what the
        detector takes for a profile: the mesh was made for faces that are seen whole.
        """
        if face.eye_distance < MIN_MESH_EYES and face.size < 4 * MIN_MESH_EYES:
            return face
        left, top, right, bottom = face.box
        reach = CONTEXT * max(right - left, bottom - top)
        height, width = rgb.shape[:2]
        x, y = max(0, int(left - reach)), max(0, int(top - reach))
        region = eight_bits(rgb[y : min(height, int(bottom + reach) + 1), x : min(width, int(right + reach) + 1)])
        if 0 in region.shape:
            return face
        # The mesh counts from the centre of the first pixel.
        origin = np.array([x, y]) + 0.5
        mesh = self.mesh(region, Square.of_box(*np.subtract(face.box, np.tile(origin, 2)).tolist()))
        points = mesh.five.astype(np.float64) + origin
        turned = abs(face.turn) > MAX_TURN > 2 * abs(replace(face, points=points).turn)
        if not mesh.found or mesh.eye_distance < MIN_MESH_EYES or turned or not _agree(points, face):
            return face
        return replace(face, points=points, yaw=mesh.yaw)


def _agree(points: np.ndarray, face: Face) -> bool:
    """Return whether the mesh is on the detected face and not on a neighbour's."""
    left, top, right, bottom = face.box
    middle = points.mean(axis=0)
    return bool(left < middle[0] < right and top < middle[1] < bottom)


ENOUGH = {"dlib": (0.6, 0.55)}
"""`SamePerson.enough` and `enough_softened` by network.

Removing blur and noise costs likeness to the input, whoever it shows: of 30 validation faces, degraded 240 times,
bicubic's bound alone left half as they were, though what their results had in common with the originals grew. With
these bounds one in twelve is left (experiments/faces/guard.py).
"""


class SamePerson:
    """Compares aligned faces by a recognition network; an `Identity` of `facehall.inference.restoration.crops`.

    Attributes:
        enough: similarity to the input from which a restored face is accepted, though bicubic keeps more; infinite
            for networks for which it has not been measured.
        enough_softened: the same for one that was restored less sharply.
    """

    def __init__(self, recogniser: Recogniser | None = None) -> None:
        self.recogniser = recogniser or Recogniser()
        self.enough, self.enough_softened = ENOUGH.get(self.recogniser.name, (math.inf, math.inf))

    @torch.inference_mode()
    def __call__(self, a: Tensor, b: Tensor) -> float:
        """Return the similarity of two faces (3, n, n) in FFHQ's frame, 1 for equal ones."""
        return float(self.recogniser.similarity(self._embedding(a), self._embedding(b)))

    def _embedding(self, face: Tensor) -> Tensor:
        points = torch.from_numpy(FFHQ_POINTS * face.shape[-1] - 0.5).float()
        return self.recogniser(face[None], points[None])[0]


def load_helpers() -> dict[str, Any]:
    """Load `MeshPoints` and `SamePerson` as arguments of `PhotoRestorer`; warn about those that cannot be had."""
    helpers: dict[str, Any] = {}
    for name, build, loss in (
        ("refine", MeshPoints, "faces are placed by the detector's points, which are less exact"),
        ("identity", SamePerson, "whether a restored face is still like the input is not checked"),
    ):
        try:
            helpers[name] = build()
        except WeightsNotFoundError as error:
            _log.warning("%s: %s", loss, error)
    return helpers
