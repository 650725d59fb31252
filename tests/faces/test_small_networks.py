"""Our own small networks: sizes, inputs of any resolution, gradients, and weights files."""

import pytest
import torch

from facehall.errors import FacehallError
from facehall.faces import identity, landmarks, parser
from facehall.faces.bundled import load_weights, save_weights
from facehall.faces.identity import IdentityNetwork
from facehall.faces.landmarks import LandmarkNetwork
from facehall.faces.parser import FaceParser

BUILD = {"parser": FaceParser, "landmarks": LandmarkNetwork, "identity": IdentityNetwork}
SHAPES = {"parser": (9, 128, 128), "landmarks": (468, 2), "identity": (192,)}
MOST = {"parser": 200_000, "landmarks": 600_000, "identity": 700_000}
"""Parameters allowed: 3 MB in half precision together."""


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", BUILD)
def test_sizes_and_inputs_of_any_resolution(name):
    network = BUILD[name]().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) <= MOST[name]
    for side in (16, 37, 128):
        assert network(torch.rand(2, 3, side, side)).shape == (2, *SHAPES[name])


@pytest.mark.parametrize("name", BUILD)
def test_gradients_reach_the_images(name):
    images = torch.rand(1, 3, 24, 24, requires_grad=True)
    BUILD[name]().eval()(images).square().sum().backward()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("name", BUILD)
def test_weights_survive_their_file(name, tmp_path):
    network = BUILD[name]()
    network.train()
    for _ in range(3):
        network(torch.rand(4, 3, 64, 64))  # batch norm's statistics are part of the file
    path = tmp_path / "weights.safetensors"
    save_weights(network.eval(), path, "a test")
    again = BUILD[name].pretrained(path)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.allclose(again(images), network(images), atol=0.03)


def test_damaged_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FacehallError, match=r"none\.safetensors: no such weights file of the face parser"):
        FaceParser.pretrained(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(FacehallError, match=r"broken\.safetensors: not a readable safetensors file"):
        FaceParser.pretrained(tmp_path / "broken.safetensors")
    save_weights(torch.nn.Linear(2, 2), tmp_path / "other.safetensors", "a test")
    with pytest.raises(FacehallError, match=r"other\.safetensors: not weights of the landmark network"):
        load_weights(LandmarkNetwork(), tmp_path / "other.safetensors", "landmark network")


def test_shapes_span_what_they_are_made_of():
    """The landmark network starts from the mean and the principal components of its shapes, of unit variance."""
    network = LandmarkNetwork(shapes=3)
    mean, directions = torch.rand(468, 2), torch.randn(3, 468, 2)
    coefficients = torch.randn(40, 3)
    shapes = mean + torch.einsum("nk,kpd->npd", coefficients, directions)
    network.start_from(shapes)
    basis, bias = network.basis.weight, network.basis.bias
    centred = shapes.flatten(1) - bias
    fitted = torch.linalg.lstsq(basis, centred.T).solution
    assert torch.allclose(basis @ fitted, centred.T, atol=1e-3)
    assert torch.allclose(fitted.square().mean(1), torch.ones(3), atol=1e-2)


def test_the_inputs_stay_below_the_documented_sizes():
    assert (parser.SIDE, parser.INPUT, landmarks.INPUT, identity.SIDE, identity.SIZE) == (128, 64, 64, 80, 192)
