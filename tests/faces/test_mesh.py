"""The face mesh: its squares, its tables, and the network on photographs where they are at hand."""

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from facehall.assets import WeightsNotFoundError
from facehall.data.annotations import IBUG68, MESH468
from facehall.errors import FacehallError
from facehall.faces import mesh_points
from facehall.faces.mesh import SIDE, FaceMesh, Mesh, Square, cut
from facehall.faces.tflite import load_tflite
from facehall.imaging import read_picture

SHARED = os.environ.get("FACEHALL_SHARED")


@pytest.fixture(scope="module")
def network():
    try:
        return FaceMesh()
    except WeightsNotFoundError as error:
        pytest.skip(f"the face mesh is not on this machine and cannot be fetched: {error}")


@pytest.fixture(scope="module")
def face():
    if not SHARED:
        pytest.skip("FACEHALL_SHARED does not name the folder with the London faces")
    return read_picture(sorted(Path(SHARED).glob("data/faces/test/london512/*_03.*"))[0]).rgb


def test_squares_map_their_image_to_the_picture():
    square = Square(50, 40, 96, math.pi / 2)
    matrix = square.matrix(SIDE)
    centre = matrix @ [(SIDE - 1) / 2, (SIDE - 1) / 2, 1]
    assert centre == pytest.approx([50, 40])
    corner = matrix @ [-0.5, -0.5, 1]  # the corner on the top left, seen after a quarter turn clockwise
    assert corner == pytest.approx([50 + 48, 40 - 48])


def test_squares_of_points_turn_with_the_face():
    five = np.array([[40.0, 50], [60, 50], [50, 62], [43, 72], [57, 72]])
    upright = Square.of_five(five)
    quarter = np.array([[0.0, -1], [1, 0]])
    turned = Square.of_five(five @ quarter.T)
    assert turned.side == pytest.approx(upright.side)
    assert turned.angle - upright.angle == pytest.approx(math.pi / 2)
    assert [turned.x, turned.y] == pytest.approx(quarter @ [upright.x, upright.y])


def test_cut_is_exact_and_antialiased():
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    same = cut(picture, Square.of_picture(SIDE, SIDE), SIDE)
    assert np.abs(255 * same - picture).max() < 1e-3
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    for side in (2 * SIDE, 1600):  # in one step, and in two; without antialiasing the difference is 0.5
        assert np.abs(cut(stripes, Square.of_picture(1600, 1600, side / 1600), SIDE) - 0.5).max() < 0.06


def test_tables_of_points():
    names = ("RIGHT_EYE", "LEFT_EYE", "RIGHT_BROW", "LEFT_BROW", "OVAL", "LIPS", "MOUTH", "NOSE")
    for name in names:
        contour = getattr(mesh_points, name)
        assert len(set(contour)) == len(contour)
        assert max(contour) < mesh_points.COUNT


def test_left_and_right_points_are_partners():
    """The permutation that mirroring uses fits the contours and the choice of iBUG's 68 points."""
    mirror = MESH468.mirror
    for name in ("EYE", "BROW"):
        right, left = (getattr(mesh_points, f"{side}_{name}") for side in ("RIGHT", "LEFT"))
        assert [mirror[number] for number in right] == list(left)
    assert {mirror[number] for number in mesh_points.OVAL} == set(mesh_points.OVAL)
    assert mirror[mesh_points.RIGHT_CHEEK] == mesh_points.LEFT_CHEEK
    assert [mirror[number] for number in mesh_points.IBUG68] == [mesh_points.IBUG68[i] for i in IBUG68.mirror]


def test_yaw_is_the_angle_of_the_cheeks():
    points = np.zeros((468, 3), np.float32)
    points[mesh_points.LEFT_CHEEK] = [10, 0, 10]
    assert Mesh(points, 0.9).yaw == pytest.approx(45)
    assert Mesh(points, 0.9).found
    assert not Mesh(points, 0.4).found


def test_a_face_is_found_and_repeatable(network, face):
    mesh = network(face)
    assert mesh.found
    assert abs(mesh.yaw) < 15
    right, left, nose, right_mouth, left_mouth = mesh.five
    assert right[0] < nose[0] < left[0]
    assert right_mouth[0] < left_mouth[0]
    assert right[1] < nose[1] < right_mouth[1]
    # Points of a picture of half the size, turned by ten degrees: 0.8 to 0.9 % of the eye distance are known.
    height, width = face.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 10, 0.5)
    turned = cv2.warpAffine(cv2.GaussianBlur(face, (0, 0), 0.8), matrix, (width, height))
    again = network(turned, Square(*(matrix @ [width / 2, height / 2, 1]), 0.5 * width))
    moved = mesh.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    error = np.linalg.norm(again.points[:, :2] - moved, axis=1).mean() / again.eye_distance
    assert error < 0.025


def test_float_and_8_bit_pictures_give_the_same(network, face):
    assert np.allclose(network(face, passes=1).points, network(face / np.float32(255), passes=1).points, atol=0.2)


def test_noise_is_no_face(network):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert not network(noise).found


def test_both_backends_agree(network, face):
    pytest.importorskip("openvino")
    points = [FaceMesh(backend=backend)(face, passes=1).points for backend in ("openvino", "opencv")]
    assert np.abs(points[0] - points[1]).max() < 0.02


def test_wrong_pictures_files_and_backends_are_named(network, tmp_path):
    with pytest.raises(FacehallError, match=r"RGB picture \(H, W, 3\), not \(5, 5\)"):
        network(np.zeros((5, 5), np.uint8))
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no network")
    for backend in ("openvino", "opencv"):
        with pytest.raises(FacehallError, match=r"broken\.tflite cannot be read as a TensorFlow Lite file"):
            load_tflite(broken, ["x"], backend)
    with pytest.raises(FacehallError, match="Unknown backend 'tensorflow'"):
        load_tflite(broken, ["x"], "tensorflow")
