"""Points of the mesh, and the recogniser as an identity guard."""

import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facehall.assets import WeightsNotFoundError
from facehall.faces.alignment import FFHQ_POINTS
from facehall.faces.detection import Face
from facehall.inference.restoration import judging
from facehall.inference.restoration.judging import MeshPoints, SamePerson, load_helpers

RGB = np.zeros((120, 160, 3), np.uint16)
FACE = Face((60.0, 40.0, 100.0, 90.0), 0.9, FFHQ_POINTS * 80 + (40, 25))


class Mesh:
    """Sees the same points, shifted by a quarter of a pixel; records where it looked."""

    def __init__(self, found=True, shift=0.25):
        self.found, self.shift, self.squares = found, shift, []

    def __call__(self, region, square):
        self.squares.append(square)
        assert region.dtype == np.uint8
        corner = np.array([60 - 75, 40 - 75]).clip(0)
        five = FACE.points + self.shift - corner - 0.5  # counted from the centre of the region's first pixel
        return SimpleNamespace(found=self.found, five=five, eye_distance=20.0, yaw=10.0)


def test_points_of_the_mesh_replace_the_detectors():
    mesh = Mesh()
    refined = MeshPoints(mesh)(RGB, FACE)
    assert refined.points == pytest.approx(FACE.points + 0.25)
    assert (refined.yaw, refined.score, refined.box) == (10.0, FACE.score, FACE.box)
    assert (mesh.squares[0].x, mesh.squares[0].y) == pytest.approx((79.5, 64.5))


@pytest.mark.parametrize("mesh", [Mesh(found=False), Mesh(shift=60)])
def test_a_mesh_that_sees_no_face_or_another_is_ignored(mesh):
    assert MeshPoints(mesh)(RGB, FACE) is FACE


def test_tiny_faces_keep_the_detectors_points():
    tiny = Face((10.0, 10.0, 24.0, 28.0), 0.9, FFHQ_POINTS * 26)
    mesh = Mesh()
    assert MeshPoints(mesh)(RGB, tiny) is tiny
    assert mesh.squares == []


def test_identity_is_compared_in_the_frame_of_each_face():
    class Recogniser:
        name = "unknown"

        def __call__(self, images, points):
            # The colour at the middle of the eyes: the same place in crops of any size.
            x, y = (points[0, 0] + points[0, 1]) / 2
            return images[0, :, round(float(y)), round(float(x))][None]

        def similarity(self, a, b):
            return 1 - (a - b).abs().sum()

    same = SamePerson(Recogniser())
    assert same.enough == same.enough_softened == math.inf  # its scale of similarities is not known
    small, large = torch.zeros(3, 32, 32), torch.zeros(3, 128, 128)
    for face, side in ((small, 32), (large, 128)):
        row, column = int(0.469 * side), int(0.5 * side)
        face[0, row - 1 : row + 2, column - 1 : column + 2] = 0.75
    assert same(small, large) == pytest.approx(1)
    assert same(small, torch.zeros(3, 64, 64)) == pytest.approx(0.25)


def test_helpers_that_cannot_be_had_are_named(monkeypatch, caplog):
    def missing():
        raise WeightsNotFoundError("no network")

    monkeypatch.setattr(judging, "MeshPoints", missing)
    monkeypatch.setattr(judging, "SamePerson", lambda: "recogniser")
    monkeypatch.setattr(logging.getLogger("facehall"), "propagate", True)
    assert load_helpers() == {"identity": "recogniser"}
    assert "faces are placed by the detector's points" in caplog.text
    assert "no network" in caplog.text


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(monkeypatch, caplog, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "file" / "cache"))  # as in a read-only container
    monkeypatch.delenv("FACEHALL_WEIGHTS", raising=False)
    monkeypatch.delenv("FACEHALL_OFFLINE", raising=False)
    monkeypatch.setattr(logging.getLogger("facehall"), "propagate", True)
    assert load_helpers() == {}
    assert caplog.text.count("Cannot write") == 2
