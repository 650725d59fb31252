"""Which faces of a photograph are restored, how, and at which resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from facehall.errors import FacehallError
from facehall.faces.alignment import Similarity, to_ffhq
from facehall.faces.detection import MIN_SURE, Face

Action = Literal["restored", "softened", "faithful", "left"]
"""What is done with a face: the given weights, a mixture of their result and that of the faithful ones (PSNR phase),
the latter alone, or only what the background gets."""

ALL, LARGEST, NONE = "all", "largest", "none"
MIN_EYE_DISTANCE = 5.0
"""Pixels; below, the points are a guess and any face that is drawn is an invention."""
MIN_SIZE = 12.0
"""Pixels of `Face.size`; in profiles the distance of the eyes tells nothing."""
MAX_YAW, MAX_TURN = 45.0, 0.45
"""Degrees, and the like of `Face.turn`, of faces that are not seen from the side."""
MIN_PROFILE = 64
"""Side of a crop below which a face seen from the side gets the faithful weights: networks trained on frontal faces
then draw frontal eyes, which they hardly do from here on (experiments/faces/profiles.py)."""
UPSIDE_DOWN = 120.0
"""Degrees beyond which the points of a face, though found, are not exact."""
MAX_CROP = 512
"""Side of an aligned crop, in input pixels, above which a face has more detail than the network was trained to add."""
MAX_REDUCTION, MIN_REDUCED = 8, 48
"""Soft faces are reduced by at most this factor, and to no smaller crops, before they are restored."""
MULTIPLE = 8
"""Crops have sides of a multiple of this, so that faces of about the same size are restored in one batch."""


@dataclass(frozen=True)
class PlannedFace:
    """A face, and what is done with it.

    Attributes:
        number: from 1, by size.
        face: as detected.
        to_crop: photograph -> unit square of FFHQ's frame.
        action: see `Action`.
        reason: why it is not "restored"; empty if it is.
        reduction: factor by which the photograph is reduced before it is restored; 1 except for soft photographs.
        side: of the aligned crop, in pixels of the reduced photograph.
    """

    number: int
    face: Face
    to_crop: Similarity
    action: Action
    reason: str = ""
    reduction: int = 1
    side: int = 0

    @property
    def extent(self) -> float:
        """Side of the aligned crop in pixels of the photograph."""
        return 1 / self.to_crop.scale

    def reduced(self, reduction: int) -> PlannedFace:
        """Return the same face, restored from the photograph reduced by a factor."""
        side = max(2 * MULTIPLE, math.ceil(self.extent / reduction / MULTIPLE - 0.25) * MULTIPLE)
        at_this_size = replace(self, reduction=reduction, side=side)
        if self.action == "restored" and side < MIN_PROFILE and seen_from_the_side(self.face):
            yaw = self.face.yaw
            reason = "small, and seen from the side" + ("" if yaw is None else f" ({abs(yaw):.0f} degrees)")
            return replace(at_this_size, action="faithful", reason=reason)
        return at_this_size


def seen_from_the_side(face: Face) -> bool:
    return abs(face.turn) > MAX_TURN if face.yaw is None else abs(face.yaw) > MAX_YAW


def check_choice(faces: str | int) -> str | int:
    """Return a valid choice of faces: ``all``, ``largest``, ``none`` or a number; raise FacehallError for others."""
    if isinstance(faces, str) and faces not in (ALL, LARGEST, NONE):
        try:
            faces = int(faces)
        except ValueError:
            raise FacehallError(f"faces={faces}: must be all, largest, none, or how many of the largest.") from None
    if isinstance(faces, bool) or (isinstance(faces, int) and faces < 1):
        raise FacehallError(f"faces={faces}: must be all, largest, none, or a number of at least 1.")
    return faces


def plan_faces(found: Sequence[Face], choice: str | int = ALL, min_face: float = 0.0) -> list[PlannedFace]:
    """Decide about each face by size, pose and score; the resolution is left at that of the photograph.

    Args:
        found: the largest first.
        choice: see `check_choice`.
        min_face: smaller faces, in pixels of `Face.size`, are left.
    """
    wanted = choice if isinstance(choice, int) else {ALL: len(found), LARGEST: 1, NONE: 0}[choice]
    planned = []
    for number, face in enumerate(found, start=1):
        try:
            to_crop = to_ffhq(face.points)
        except ValueError:
            to_crop = Similarity(1 / max(1e-6, face.size), 0j)
            planned.append(PlannedFace(number, face, to_crop, "left", "its points coincide"))
            continue
        action, reason = _decide(face, to_crop, number <= wanted, min_face)
        planned.append(PlannedFace(number, face, to_crop, action, reason).reduced(1))
    return planned


def _decide(face: Face, to_crop: Similarity, wanted: bool, min_face: float) -> tuple[Action, str]:
    if not wanted:
        return "left", "not among the chosen faces"
    if face.size < min_face:
        return "left", f"smaller than {min_face:g} pixels ({face.size:.0f})"
    if face.eye_distance < MIN_EYE_DISTANCE and not seen_from_the_side(face):
        return "left", f"too small: the eyes are {face.eye_distance:.1f} pixels apart"
    if face.size < MIN_SIZE:
        return "left", f"too small: {face.size:.0f} pixels"
    if abs(to_crop.degrees) > UPSIDE_DOWN:
        return "faithful", "upside down"
    if face.score < MIN_SURE:
        return "faithful", f"uncertain detection (score {face.score:.2f})"
    return "restored", ""
