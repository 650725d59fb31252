"""The weights of the small face networks in the package: what they see on the portraits of data=sample."""

import numpy as np
import pytest
import torch

from facehall.data.sources.sample import SampleSource
from facehall.faces import identity, landmarks, parser
from facehall.faces.alignment import FFHQ_POINTS, Spline, to_ffhq
from facehall.faces.identity import IdentityNetwork
from facehall.faces.labels import EYES, LIPS_CLASS, MOUTH_CLASS, NOSE_CLASS
from facehall.faces.landmarks import LandmarkNetwork
from facehall.faces.mesh_points import five_of_mesh
from facehall.faces.parser import FaceParser
from facehall.faces.recognition import Recogniser
from facehall.imaging import read_picture, resize_bicubic

FIVE = {  # eyes, nose tip and mouth corners in pixels
    "astronaut": [(203, 102), (247, 104), (223, 130), (200, 140), (247, 143)],
    "grace_hopper": [(219, 194), (308, 188), (268, 243), (231, 278), (307, 273)],
}
SIDES = (16, 32, 64)


def crop(name, side):
    """The face in FFHQ's frame."""
    files = {file.name: file.hr for split in ("val", "test") for file in SampleSource().split(split)}
    from_crop = to_ffhq(np.array(FIVE[name], float)).inverse.scaled(before=256)
    pixels = Spline.of(read_picture(files[name]).rgb / np.float32(255)).sample(from_crop, (256, 256))
    return resize_bicubic(torch.from_numpy(pixels).permute(2, 0, 1).clamp(0, 1), (side, side)).clamp(0, 1)[None]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", FIVE)
def test_the_parser_finds_the_features(name, side):
    labels = FaceParser.pretrained()(crop(name, side)).argmax(1)[0]
    eye, other, nose, *mouth = (FFHQ_POINTS * parser.SIDE).astype(int)
    assert labels[eye[1], eye[0]] == labels[other[1], other[0]] == EYES
    assert labels[nose[1] - 4, nose[0]] == NOSE_CLASS
    x, y = np.mean(mouth, axis=0).astype(int)
    assert int(labels[y, x]) in (LIPS_CLASS, MOUTH_CLASS)
    assert len(labels.unique()) > 7


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", FIVE)
def test_landmarks_are_where_the_face_is(name, side):
    points = LandmarkNetwork.pretrained()(crop(name, side))
    five = five_of_mesh(points.numpy())[0]
    distance = np.linalg.norm(FFHQ_POINTS[1] - FFHQ_POINTS[0])
    assert np.linalg.norm(five - FFHQ_POINTS, axis=1).max() < 0.2 * distance


def test_the_identity_network_tells_two_people_apart():
    network = Recogniser("facehall")
    faces = {(name, side): crop(name, side) for name in FIVE for side in (32, 128)}
    with torch.no_grad():
        found = {
            key: network(face, torch.from_numpy(FFHQ_POINTS[None] * key[1] - 0.5).float())
            for key, face in faces.items()
        }
    for name in FIVE:
        assert network.similarity(found[name, 32], found[name, 128]) > network.kind.threshold
    assert network.similarity(found["astronaut", 128], found["grace_hopper", 128]) < network.kind.threshold


def test_all_together_stay_small():
    files = (parser.WEIGHTS, landmarks.WEIGHTS, identity.WEIGHTS)
    assert sum(path.stat().st_size for path in files) < 3e6
    assert IdentityNetwork.pretrained()(torch.rand(1, 3, identity.SIDE, identity.SIDE)).shape == (1, identity.SIZE)
    assert landmarks.WEIGHTS.with_name("networks.md").is_file()
