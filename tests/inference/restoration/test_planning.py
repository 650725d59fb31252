"""Which faces are restored, and at which resolution."""

from dataclasses import replace

import numpy as np
import pytest

from facehall.errors import FacehallError
from facehall.faces.alignment import FFHQ_POINTS
from facehall.faces.detection import Face
from facehall.inference.restoration.planning import check_choice, plan_faces


def face(crop=100.0, score=0.9, nose=0.0, turned=False):
    """A face whose aligned crop has a side of `crop` pixels; `turned`: on its head."""
    points = (1 - FFHQ_POINTS if turned else FFHQ_POINTS) * crop
    points[2, 0] += nose * (points[1, 0] - points[0, 0])
    return Face((0.2 * crop, 0.2 * crop, 0.75 * crop, 0.9 * crop), score, points)


def test_a_clear_face_is_restored_at_its_own_resolution():
    (planned,) = plan_faces([face(100)])
    assert (planned.action, planned.reason, planned.number) == ("restored", "", 1)
    assert planned.extent == pytest.approx(100)
    assert planned.side == 104  # of a multiple of 8, so that batches are large
    assert planned.reduced(2).side == 48


@pytest.mark.parametrize(
    ("given", "action", "reason"),
    [
        (face(18), "left", "too small: the eyes are 4.4 pixels apart"),
        (face(50, nose=0.6), "faithful", "small, and seen from the side"),
        (face(50, nose=-0.6), "faithful", "small, and seen from the side"),
        (face(turned=True), "faithful", "upside down"),
        (face(score=0.4), "faithful", "uncertain detection (score 0.40)"),
        (Face((0, 0, 50, 50), 0.9, np.ones((5, 2))), "left", "its points coincide"),
    ],
)
def test_every_other_face_has_a_reason(given, action, reason):
    (planned,) = plan_faces([given])
    assert (planned.action, planned.reason) == (action, reason)


def test_a_large_profile_is_restored_as_others_unless_it_is_soft():
    (planned,) = plan_faces([replace(face(100), yaw=-50.0)])
    assert (planned.action, planned.reason) == ("restored", "")
    soft = planned.reduced(2)
    assert (soft.action, soft.reason) == ("faithful", "small, and seen from the side (50 degrees)")
    assert plan_faces([face(100, nose=0.6, score=0.4)])[0].action == "faithful"


def test_faces_are_chosen_by_size():
    found = [face(200), face(100), face(50)]

    def actions(choice, smallest=0.0):
        return [planned.action for planned in plan_faces(found, choice, smallest)]

    assert actions("all") == ["restored"] * 3
    assert actions("largest") == ["restored", "left", "left"]
    assert actions(2) == ["restored", "restored", "left"]
    assert actions("none") == ["left"] * 3
    assert actions("all", 50) == ["restored", "restored", "left"]
    assert plan_faces(found, "all", 50)[2].reason == "smaller than 50 pixels (31)"


def test_choices_are_checked():
    assert check_choice("3") == 3
    for wrong in ("some", "0", 0, -1, True):
        with pytest.raises(FacehallError, match="must be all, largest, none"):
            check_choice(wrong)
