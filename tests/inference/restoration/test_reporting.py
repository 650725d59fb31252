"""The line that says what was done with the faces of a photograph."""

import pytest

from facehall.faces.alignment import FFHQ_POINTS
from facehall.faces.detection import Face
from facehall.inference.restoration.planning import plan_faces
from facehall.inference.restoration.reporting import FaceReport, PhotoReport

SHARP, SIDE = "sharp already", "seen from the side"


@pytest.mark.parametrize(
    ("done", "line"),
    [
        ([], "no face found"),
        ([("faithful", SIDE)], f"1 face found, 0 restored, 1 with the faithful weights ({SIDE})"),
        (
            [("restored", ""), ("faithful", SIDE), ("faithful", "uncertain"), ("faithful", SIDE)],
            f"4 faces found, 1 restored, 3 with the faithful weights (2, 4: {SIDE}; 3: uncertain)",
        ),
        ([("left", SHARP)] * 200, f"200 faces found, 0 restored, 200 left (1, 2, 3, 4 and 196 more: {SHARP})"),
    ],
)
def test_reasons_are_named_once(done, line):
    planned = plan_faces([Face((20, 20, 75, 90), 0.9, 100 * FFHQ_POINTS) for _ in done])
    faces = [FaceReport(plan, action, reason) for plan, (action, reason) in zip(planned, done, strict=True)]
    assert PhotoReport(640, 480, 4, "facehall-x4", "bicubic", faces).summary == line
