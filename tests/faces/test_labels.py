"""Labels of the parts of a face: what covers what, and the networks on a photograph where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from facehall.assets import WeightsNotFoundError
from facehall.data.annotations import FACES9, Annotations
from facehall.data.annotations.teacher import LANDMARKS, Annotator
from facehall.errors import FacehallError
from facehall.faces import labels, mesh_points
from facehall.faces.labels import CLASSES, face_labels
from facehall.faces.mesh import Mesh
from facehall.imaging import read_picture

SHARED = os.environ.get("FACEHALL_SHARED")
SIZE = 100


def ring(centre, width, height, count):
    at = 2 * np.pi * np.arange(count) / count
    return np.stack([centre[0] + width * np.cos(at), centre[1] + height * np.sin(at)], 1)


def drawn_face():
    """A mesh whose contours are ellipses at known places; the chin is at the bottom of the oval."""
    points = np.zeros((468, 3), np.float32)
    places = {
        "OVAL": ((50, 50), 25, 30),
        "NOSE": ((50, 52), 4, 8),
        "RIGHT_EYE": ((40, 42), 5, 2),
        "LEFT_EYE": ((60, 42), 5, 2),
        "RIGHT_BROW": ((40, 36), 6, 1.5),
        "LEFT_BROW": ((60, 36), 6, 1.5),
        "LIPS": ((50, 67), 9, 5),
        "MOUTH": ((50, 67), 6, 2),
    }
    for name, (centre, width, height) in places.items():
        numbers = list(getattr(mesh_points, name))
        points[numbers, :2] = ring(centre, width, height, len(numbers))
    points[mesh_points.CHIN, :2] = [50, 80]
    return Mesh(points, 1.0)


def test_the_classes_are_those_of_the_scheme():
    assert FACES9.labels == CLASSES


def test_parts_lie_where_their_contours_are():
    person = np.zeros((SIZE, SIZE), np.float32)
    person[10:, 10:90] = 1
    drawn = face_labels(drawn_face(), person)
    assert drawn.dtype == np.uint8
    at = {
        name: (row, column) for name, (column, row) in {"skin": (50, 40), "brows": (40, 36), "eyes": (60, 42)}.items()
    }
    at |= {
        "nose": (55, 50),
        "lips": (71, 50),
        "mouth": (67, 50),
        "hair": (15, 50),
        "neck": (95, 50),
        "background": (50, 3),
    }
    assert {name: CLASSES[drawn[place]] for name, place in at.items()} == {name: name for name in at}
    assert CLASSES[drawn[50, 80]] == "hair"  # beside the face and above the chin: ears count as hair
    assert CLASSES[drawn[85, 80]] == "neck"


def test_the_chin_line_turns_with_the_face():
    turned = drawn_face().points.copy()
    turned[:, :2] = turned[:, 1::-1] * [1, -1] + [0, SIZE]  # a quarter turn anticlockwise: down is now to the right
    drawn = face_labels(Mesh(turned, 1.0), np.ones((SIZE, SIZE), np.float32))
    assert CLASSES[drawn[50, 95]] == "neck"
    assert CLASSES[drawn[50, 5]] == "hair"


def test_nothing_to_annotate_is_refused():
    with pytest.raises(FacehallError, match="landmarks=ibug: unknown; give ibug68, mesh468, five or null"):
        Annotator("ibug")
    with pytest.raises(FacehallError, match="nothing is left to annotate"):
        Annotator(None, parsing=False)


def test_schemes_and_points_fit():
    points = np.zeros((468, 2), np.float32)
    for scheme, choose in LANDMARKS.values():
        assert Annotations((9, 9), choose(points), landmark_scheme=scheme).kinds == {"landmarks"}


def test_a_photograph_is_labelled(monkeypatch):
    if not SHARED:
        pytest.skip("FACEHALL_SHARED does not name the folder with the London faces")
    picture = read_picture(sorted(Path(SHARED).glob("data/faces/test/london512/*_03.*"))[3]).rgb[::2, ::2]
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")  # 36 MB, which the suite does not fetch
    try:
        annotator = Annotator()
    except WeightsNotFoundError as error:
        pytest.skip(f"the teachers are not on this machine and cannot be fetched: {error}")
    found = annotator(np.ascontiguousarray(picture))
    share = np.bincount(found.parsing.ravel(), minlength=9) / found.parsing.size
    expected = {"background": 0.4, "skin": 0.25, "brows": 0.01, "eyes": 0.008, "nose": 0.025, "lips": 0.01, "hair": 0.2}
    for name, value in expected.items():
        assert value / 2.5 < share[CLASSES.index(name)] < value * 2.5
    right, left = found.landmarks[36:42].mean(0), found.landmarks[42:48].mean(0)
    assert found.parsing[tuple(right[::-1].round().astype(int))] == labels.EYES
    assert right[0] < left[0]
    assert annotator(np.zeros((64, 64, 3), np.uint8)) is None
