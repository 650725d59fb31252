"""Recognition networks: dlib's architecture, chips, comparisons, and known pairs of faces."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from facehall.assets import WeightsNotFoundError
from facehall.errors import FacehallError
from facehall.faces import recognition
from facehall.faces.dlib_resnet import DlibResNet, from_face_api
from facehall.faces.recognition import RECOGNISERS, Recogniser
from facehall.faces.templates import FFHQ_FIVE
from facehall.imaging import read_picture

SHARED = os.environ.get("FACEHALL_SHARED")
ALIGNED = torch.tensor(FFHQ_FIVE) / 4
"""Where the points of an aligned face of 128 pixels are, roughly."""


LARGE = ("faceres", "mobileface")
"""Out of a package of 145 MB, which the suite does not fetch."""


def recogniser(name, monkeypatch):
    if name in LARGE:
        monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    try:
        return Recogniser(name)
    except WeightsNotFoundError as error:
        pytest.skip(f"{name} is not on this machine and cannot be fetched: {error}")


@pytest.fixture
def small(monkeypatch):
    """A recogniser whose embedding is a chip's mean colour."""
    kind = recognition.Kind(
        lambda weights: Mean(), 3, 8, ((2.0, 3), (5, 3), (3.5, 4), (2.2, 6), (4.8, 6)), "cosine", 0.5
    )
    monkeypatch.setitem(RECOGNISERS, "small", kind)
    return Recogniser("small")


class Mean(torch.nn.Module):
    def forward(self, chips):
        return chips.mean((2, 3))


def test_dlibs_network_has_its_parameters_and_sizes():
    network = DlibResNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 5_612_288 + 2_304
    sizes = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 150, 150)).shape == (1, 128)
    assert sizes == [35, 35, 35, 17, 17, 17, 17, 8, 8, 8, 4, 4, 4, 2]  # as dlib's output sizes, zeros appended


def test_tensors_of_the_package_are_renamed_completely():
    network = DlibResNet()
    names = {f"conv{s}_{i}/conv{k}" for s, i in (("32", 1), ("32", 2), ("32", 3)) for k in (1, 2)}
    for stage, count in (("64", 4), ("128", 3), ("256", 3)):
        names |= {f"conv{stage}_{i or 'down'}/conv{k}" for i in range(count) for k in (1, 2)}
    names |= {"conv32_down", "conv256_down_out/conv1", "conv256_down_out/conv2"}
    tensors = {"fc": torch.zeros(256, 128)}
    for name in names:
        tensors |= {f"{name}/conv/filters": torch.zeros(3, 3, 1, 1), f"{name}/conv/bias": torch.zeros(1)}
        tensors |= {f"{name}/scale/weights": torch.zeros(1), f"{name}/scale/biases": torch.zeros(1)}
    assert from_face_api(tensors).keys() == network.state_dict().keys()


def test_chips_put_the_points_where_the_network_expects_them(small):
    images = torch.zeros(1, 3, 40, 40)
    points = (small.five * 4 + 3).round()
    for x, y in points.int().tolist():
        images[0, :, y - 2 : y + 3, x - 2 : x + 3] = 1
    chip = small.chips(images, points[None])[0, 0]
    for x, y in small.five.round().int().tolist():
        assert chip[y, x] > 0.4
    assert chip[0, 0] == 0


def test_gradients_reach_the_images(small):
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    small(images, (ALIGNED / 4).expand(2, 5, 2)).sum().backward()
    assert images.grad.abs().sum() > 0


def test_comparisons():
    a = torch.tensor([[1.0, 0], [0, 2]])
    kinds = {"cosine": [[1, 0.0], [0, 1]], "distance": [[1, 1 - 5**0.5], [1 - 5**0.5, 1]]}
    for score, wanted in kinds.items():
        network = Recogniser.__new__(Recogniser)
        torch.nn.Module.__init__(network)
        network.kind = recognition.Kind(Mean, 3, 8, (), score, 0.5)
        assert torch.allclose(network.similarities(a, a), torch.tensor(wanted), atol=1e-5)
        assert torch.allclose(network.similarity(a, a.flip(0)), torch.tensor(wanted)[0, 1].expand(2), atol=1e-5)


def test_stays_frozen_and_in_evaluation_mode(small):
    assert not small.train().training
    assert not any(parameter.requires_grad for parameter in small.parameters())
    with pytest.raises(
        FacehallError, match="Unknown recognition network 'arcface'; known: dlib, facehall, faceres, mobileface"
    ):
        Recogniser("arcface")


@pytest.mark.parametrize("name", ["dlib", "facehall", "faceres", "mobileface"])
def test_pairs_of_pictures_are_told_apart(name, monkeypatch):
    """Three people with two pictures each: every genuine pair is more alike than every impostor pair."""
    if not SHARED:
        pytest.skip("FACEHALL_SHARED does not name the folder with the LFW pairs")
    network = recogniser(name, monkeypatch)
    folder = Path(SHARED) / "data/faces/test/lfw_pairs160"
    people = ("Abdoulaye_Wade_0002", "Adrien_Brody_0002", "Abdullah_Gul_0006")
    others = ("Abdoulaye_Wade_0003", "Adrien_Brody_0012", "Abdullah_Gul_0007")
    pixels = np.stack([read_picture(folder / f"{person}.webp").rgb for person in (*people, *others)])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    points = torch.tensor([[58.0, 67], [101, 67], [80, 92], [62, 112], [97, 112]]).expand(6, 5, 2)  # deep funneled
    with torch.no_grad():
        found = network(images, points)
    scores = network.similarities(found[:3], found[3:])
    genuine = scores.diagonal()
    assert genuine.min() > scores[~torch.eye(3, dtype=torch.bool)].max()
    assert genuine.mean() > network.kind.threshold
