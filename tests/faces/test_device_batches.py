"""Batches of experiments/release/device.py: labels follow the pictures, LR is the reduction of HR."""

import random
import sys
from pathlib import Path

import pytest
import torch

from facehall.faces.templates import FFHQ_FIVE
from facehall.imaging import downscale_bicubic, quantize, resize_bicubic

FOLDER = Path(__file__).parents[2] / "experiments" / "release"
CPU = torch.device("cpu")


@pytest.fixture
def device_faces(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import device_faces as module

    yield module
    sys.modules.pop("device_faces")


def test_a_turn_of_nothing_is_no_turn(device_faces):
    images = torch.rand(2, 3, 16, 16)
    still = device_faces.random_turns(2, 16, 0, 0, 0, CPU)
    found, inside = device_faces.sample(images, still, 16)
    torch.testing.assert_close(found, images, atol=1e-5, rtol=0)
    assert inside.all()


@pytest.mark.parametrize("side", [24, 37, 64, 100])
def test_sizes_are_those_of_the_protocol(device_faces, side):
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(
        device_faces.resize(images, side), resize_bicubic(images, (side, side)), atol=2e-6, rtol=0
    )


def test_turns_keep_the_centre_within_the_shift(device_faces):
    turns = device_faces.random_turns(200, 101, 10, 0.1, 5, CPU)
    centre = turns[..., :2] @ torch.full((2, 1), 50.0) + turns[..., 2:]
    assert (centre - 50).abs().max() <= 5.01
    scales = torch.linalg.det(turns[..., :2]).sqrt()
    assert scales.min() >= 1 / 1.1001
    assert scales.max() <= 1.1001


@pytest.mark.parametrize("side", [64, 40])
def test_crops_are_pairs_of_the_protocol(device_faces, side):
    random.seed(0)
    pictures = (255 * torch.rand(6, 3, 64, 64)).to(torch.uint8)
    batch = device_faces.Crops({"a": pictures}, [device_faces.Share("a", 1, [side])], 4, 2).cut(pictures, side)
    assert batch["hr"].shape == (6, 3, side, side)  # no more than there are
    torch.testing.assert_close(batch["lr"], quantize(downscale_bicubic(batch["hr"], 4)))


def test_labels_follow_the_pictures(device_faces):
    """A bright disc off the centre is the part with label 1, however the face is turned and mirrored."""
    torch.manual_seed(0)
    side = device_faces.CANVAS
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disc = ((x - 80) ** 2 + (y - 120) ** 2 < 30**2).to(torch.uint8)
    pictures, labels = (255 * disc).expand(1, 3, -1, -1), disc[None, ::2, ::2]
    batch = next(iter(device_faces.WholeFaces({"a": (pictures, labels)}, {"a": 1.0}, 8, 12)))
    assert batch["hr"].shape == (12, 3, 128, 128)
    assert batch["lr"].shape == (12, 3, 16, 16)
    wrong = ((batch["hr"][:, 0] > 0.5) != (batch["parsing"] == 1)).float().sum((1, 2))
    assert (wrong < 0.15 * (batch["parsing"] == 1).sum((1, 2))).all()  # the outline alone
    centres = (batch["parsing"] == 1).float().mul(torch.arange(128.0)).sum((1, 2)) / (batch["parsing"] == 1).sum((1, 2))
    assert centres.min() < 60 < 68 < centres.max()  # some are mirrored
    assert (batch["parsing"] == device_faces.OUTSIDE).any()  # what turns and shifts bring in


def test_faces_are_aligned_by_their_landmarks(device_faces):
    """Bright dots at the eyes of a small picture arrive at those of FFHQ's frame; the rest has a label of its own."""
    points = torch.zeros(1, 68, 2)
    eyes = ((60, 50), (100, 60))
    points[0, 36:42], points[0, 42:48] = torch.tensor(eyes[0]).float(), torch.tensor(eyes[1]).float()
    turn = torch.tensor([[40.0, -10.0], [10.0, 40.0]]) / (FFHQ_FIVE[1][0] - FFHQ_FIVE[0][0])
    for index, place in ((30, FFHQ_FIVE[2]), (48, FFHQ_FIVE[3]), (54, FFHQ_FIVE[4])):
        points[0, index] = torch.tensor(eyes[0]) + turn @ (torch.tensor(place) - torch.tensor(FFHQ_FIVE[0]))
    picture = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    for x, y in eyes:
        picture[..., y - 1 : y + 2, x - 1 : x + 2] = 255
    canvas, labels = device_faces.to_canvas(picture, CPU, points)
    for place in FFHQ_FIVE[:2]:
        x, y = (round(value / 2) for value in place)
        assert canvas[0, 0, y - 2 : y + 3, x - 2 : x + 3].max() > 150
    assert (labels == device_faces.OUTSIDE).any()
    assert not (labels[0, 50:70, 50:80] == device_faces.OUTSIDE).any()
