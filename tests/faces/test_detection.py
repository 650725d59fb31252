"""Faces of any size in pictures of any size; white squares stand in for faces."""

import numpy as np
import pytest
from squares import find_squares, with_squares

from facehall.faces import detection
from facehall.faces.centerface import Candidates
from facehall.faces.detection import Face, detect


def boxes(rgb, network=find_squares):
    return [tuple(round(value) for value in face.box) for face in detect(network, rgb)]


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 128 pixels that overlap by 48; squares up to 400 pixels are found in reduced pictures only."""
    monkeypatch.setattr(detection, "TILE", 128)
    monkeypatch.setattr(detection, "OVERLAP", 48)
    monkeypatch.setattr(detection, "WHOLE_SIDE", 128)


def test_every_face_of_a_tiled_picture_is_found_once(small_tiles):
    squares = [(left, top, 40) for left in range(5, 560, 83) for top in range(5, 260, 71)]
    found = boxes(with_squares(300, 600, *squares))
    assert sorted(found) == sorted((left, top, left + 40, top + 40) for left, top, _ in squares)


def test_a_face_larger_than_a_tile_is_found_in_the_reduced_picture(small_tiles):
    found = boxes(with_squares(500, 600, (100, 80, 320)))
    assert len(found) == 1
    assert found[0] == pytest.approx((100, 80, 420, 400), abs=4)


def test_tiny_faces_are_found_in_the_enlarged_picture():
    assert boxes(with_squares(100, 120, (30, 40, 10))) == [pytest.approx((30, 40, 40, 50), abs=1)]


def test_in_large_pictures_only_tiles_with_hints_are_enlarged(monkeypatch):
    monkeypatch.setattr(detection, "MAX_ENLARGED", 100)
    monkeypatch.setattr(detection, "TILE", 128)
    monkeypatch.setattr(detection, "OVERLAP", 32)
    seen = []

    def network(rgb, threshold):
        seen.append(rgb.shape)
        return find_squares(rgb, threshold)

    rgb = with_squares(128, 512, (5, 20, 18), (40, 30, 10), (400, 60, 10))
    found = boxes(rgb, network)
    assert (40, 30, 50, 40) in [tuple(np.round(box, -1)) for box in found]  # beside a hint: the square of 18
    assert not any(box[0] > 350 for box in found)
    assert len(seen) < 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2)])
def test_the_smallest_pictures_hold_no_face(shape):
    assert detect(find_squares, np.zeros((*shape, 3), np.uint8)) == []


def test_sixteen_bits_are_found_as_eight():
    rgb = with_squares(100, 120, (30, 40, 30))
    assert boxes(rgb.astype(np.uint16) * 257) == boxes(rgb) != []


def test_the_largest_face_comes_first():
    sizes = [round(face.size) for face in detect(find_squares, with_squares(200, 300, (5, 5, 20), (60, 60, 90)))]
    assert sizes == [90, 20]


def candidates(*entries):
    placed = np.array([entry[:4] for entry in entries], float).reshape(-1, 4)
    return Candidates(placed, np.array([entry[4] for entry in entries]), np.zeros((len(entries), 5, 2)))


def test_overlapping_candidates_are_one_face():
    best, shifted, inside, beside, faint = (
        (10, 10, 50, 50, 0.9),
        (14, 12, 54, 52, 0.6),
        (20, 30, 30, 40, 0.5),
        (60, 10, 100, 50, 0.4),
        (60, 60, 90, 90, 0.2),
    )
    found = detect(
        lambda rgb, threshold: candidates(shifted, faint, best, beside, inside), np.zeros((200, 900, 3), np.uint8)
    )
    assert {face.score for face in found} == {0.9, 0.4}


def test_turn_is_the_place_of_the_nose_between_the_eyes():
    points = np.array([(10, 10), (30, 10), (20, 25), (12, 35), (28, 35)], float)
    frontal = Face((0, 0, 40, 50), 1.0, points)
    assert frontal.turn == pytest.approx(0)
    assert frontal.eye_distance == pytest.approx(20)
    turned = points.copy()
    turned[2, 0] = 31
    assert Face((0, 0, 40, 50), 1.0, turned).turn == pytest.approx(0.55)


def test_parts_of_faces_are_no_faces():
    narrow, wide = (10, 10, 18, 50, 0.9), (60, 10, 120, 50, 0.9)
    assert detect(lambda rgb, threshold: candidates(narrow, wide), np.zeros((200, 900, 3), np.uint8)) == []


def test_the_enlarged_look_must_be_sure():
    def network(rgb, threshold):
        enlarged = rgb.shape[0] == 400
        return candidates((20, 20, 60, 60, 0.45), (100, 100, 140, 140, 0.6)) if enlarged else candidates()

    assert [face.score for face in detect(network, np.zeros((200, 300, 3), np.uint8))] == [0.6]
