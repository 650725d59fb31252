"""Batches of experiments/face_networks: labels and points follow the pictures, and a resumed training goes on."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "face_networks"
pytestmark = pytest.mark.skipif(not EXPERIMENT.is_dir(), reason="the package was installed without its experiments")


@pytest.fixture(scope="module")
def pictures():
    sys.path.insert(0, str(EXPERIMENT))
    try:
        import labelled_faces as pictures

        yield pictures
    finally:
        sys.path.remove(str(EXPERIMENT))
        sys.modules.pop("labelled_faces", None)


@pytest.fixture(scope="module")
def faces(pictures):
    """A face of two labelled discs, bright on the left and dark on the right, with points in their centres."""
    side = pictures.SIDE
    pixels, labels = np.full((1, side, side, 3), 90, np.uint8), np.zeros((1, side, side), np.uint8)
    points = np.full((1, 468, 2), 64, np.float32)
    from facehall.faces.mesh_points import LEFT_SIDE, RIGHT_SIDE

    for numbers, x, colour, label in ((RIGHT_SIDE, 40, 200, 3), (LEFT_SIDE, 90, 30, 5)):
        cv2.circle(pixels[0], (x, 60), 10, (colour,) * 3, -1)
        cv2.circle(labels[0], (x, 60), 10, label, -1)
        points[0, list(numbers)] = [x, 60]
    return pictures.Faces(pixels, labels, points)


def test_labels_points_and_pixels_move_together(pictures, faces):
    """Left and right swap in a mirror: the points of the right side are then on the other, dark disc."""
    from facehall.faces.mesh_points import LEFT_SIDE, RIGHT_SIDE

    seen = set()
    for seed in range(12):
        pixels, labels, points = pictures.augment(faces, 0, np.random.default_rng(seed))
        found = {}
        for name, numbers in (("right", RIGHT_SIDE), ("left", LEFT_SIDE)):
            x, y = points[list(numbers)].mean(0).round().astype(int)
            found[name] = (labels[y, x], pixels[y, x].mean() > 90, x)
        assert found["right"][2] < found["left"][2]  # the person's right stays on the left of the picture
        assert {found["right"][0], found["left"][0]} == {3, 5}
        for label, bright, _ in found.values():
            assert bright == (label == 3)
        seen.add(found["right"][0])
    assert seen == {3, 5}  # some are mirrored, some are not


def test_a_resumed_training_continues_with_the_same_batches(pictures, faces):
    first = pictures.Batches(faces, 2, seed=1, start=0)
    batches = [next(first) for _ in range(3)]
    again = next(pictures.Batches(faces, 2, seed=1, start=2))
    for a, b in zip(batches[2], again, strict=True):
        assert torch.equal(a, b)
    lr, labels, points = again
    assert lr.shape[-1] in (16, 24, 32, 48, 64)
    assert labels.shape == (2, 128, 128)
    assert 0 < points.min() < points.max() < 1
