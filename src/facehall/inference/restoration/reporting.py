"""What was done with each face of a photograph: as JSON, as a sentence, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from facehall.imaging import Picture, eight_bits
from facehall.inference.restoration.crops import Likeness
from facehall.inference.restoration.planning import Action, PlannedFace

COLOURS = {"restored": (40, 200, 80), "softened": (160, 190, 50), "faithful": (250, 170, 30), "left": (230, 60, 60)}
"""RGB of each action's boxes."""
LABELS = {"softened": "less sharply", "faithful": "with the faithful weights", "left": "left"}


@dataclass
class FaceReport:
    """What was done with one face.

    Attributes:
        plan: the decision before restoring it.
        action, reason: the final ones; they differ from the plan's where a guard objected.
        identity: similarity of the sharp face to the input, and what was required; None if nobody judged.
        inconsistency: mean absolute difference of the reduced result and the input, in 8-bit levels; None if left.
    """

    plan: PlannedFace
    action: Action
    reason: str = ""
    identity: Likeness | None = None
    inconsistency: float | None = None

    def as_json(self) -> dict[str, Any]:
        face = self.plan.face
        entry: dict[str, Any] = {
            "number": self.plan.number,
            "box": [round(value, 2) for value in face.box],
            "points": np.round(face.points, 2).tolist(),
            "score": round(face.score, 4),
            "eye_distance": round(face.eye_distance, 2),
            "turn": round(face.turn, 3),
            "yaw_degrees": None if face.yaw is None else round(face.yaw, 1),
            "roll_degrees": round(-self.plan.to_crop.degrees, 2),
            "action": self.action,
            "reason": self.reason,
            "to_crop": self.plan.to_crop.matrix.tolist(),
        }
        if self.action != "left":
            entry["crop_side"], entry["reduction"] = self.plan.side, self.plan.reduction
        if self.identity is not None:
            entry["identity"] = {
                "restored": round(self.identity.restored, 4),
                "required": round(self.identity.required, 4),
            }
        if self.inconsistency is not None:
            entry["lr_difference_levels"] = round(self.inconsistency, 3)
        return entry


@dataclass
class PhotoReport:
    """What was done with a photograph: its faces, the largest first, and the settings."""

    width: int
    height: int
    scale: int
    weights: str
    background: str
    faces: list[FaceReport] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "height": self.height,
            "scale": self.scale,
            "weights": self.weights,
            "background": self.background,
            "faces": [face.as_json() for face in self.faces],
        }

    @property
    def summary(self) -> str:
        """One line: how many faces were found and what was done with them."""
        if not self.faces:
            return "no face found"
        parts = [f"{len(self.faces)} face{'s' if len(self.faces) > 1 else ''} found"]
        restored = sum(face.action == "restored" for face in self.faces)
        parts.append(f"{restored} restored")
        for action, label in LABELS.items():
            members = [face for face in self.faces if face.action == action]
            if members:
                parts.append(f"{len(members)} {label} ({_reasons(members, numbered=len(self.faces) > 1)})")
        return ", ".join(parts)


def _reasons(faces: Sequence[FaceReport], numbered: bool) -> str:
    """List what faces have in common once, each time with their numbers: "1, 4: seen from the side; 2: …"."""
    numbers: dict[str, list[int]] = {}
    for face in faces:
        numbers.setdefault(face.reason, []).append(face.plan.number)
    if not numbered:
        return "; ".join(numbers)
    parts = []
    for reason, each in numbers.items():
        more = f" and {len(each) - 4} more" if len(each) > 4 else ""
        parts.append(f"{', '.join(map(str, each[:4]))}{more}: {reason}")
    return "; ".join(parts)


def draw(picture: Picture, faces: Sequence[FaceReport]) -> np.ndarray:
    """Draw boxes, points and numbers over a photograph, coloured by action; (H, W, 3) uint8."""
    canvas = np.ascontiguousarray(eight_bits(picture.rgb)).copy()
    for report in faces:
        face, colour = report.plan.face, COLOURS[report.action]
        left, top, right, bottom = (round(value) for value in face.box)
        thick = max(1, round(face.size / 50))
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thick)
        for x, y in face.points:
            cv2.circle(canvas, (int(x), int(y)), max(1, thick), colour, -1)
        height = min(max(face.size / 90, 0.35), 3.0)
        place = (max(0, left), top - 3 if top > 15 * height else bottom + round(20 * height))
        label = f"{report.plan.number}"
        cv2.putText(canvas, label, place, cv2.FONT_HERSHEY_SIMPLEX, height, (0, 0, 0), 2 * thick + 1, cv2.LINE_AA)
        cv2.putText(canvas, label, place, cv2.FONT_HERSHEY_SIMPLEX, height, colour, thick, cv2.LINE_AA)
    return canvas
