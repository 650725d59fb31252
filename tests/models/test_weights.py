"""Weights files: one file rebuilds the network; anything else is refused with a paragraph."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small import TINY_NETWORK, Malicious, tiny_generator

from facehall.errors import FacehallError
from facehall.models.generators import MultiScaleRRDB, RRDBNet, SRResNet3
from facehall.models.weights import load_generator, load_into, read_metadata, save_generator


@pytest.mark.parametrize(
    "generator",
    [MultiScaleRRDB(scale=2, topology="parallel", **TINY_NETWORK), RRDBNet(1, 8, 4), SRResNet3(2, 1, 4)],
    ids=lambda generator: type(generator).__name__,
)
def test_round_trip(tmp_path, generator):
    path = tmp_path / "sub" / "weights.safetensors"
    save_generator(path, generator.eval(), {"run": "test", "step": "7"})
    loaded = load_generator(path)
    assert type(loaded) is type(generator)
    assert not loaded.training
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded(lr), generator(lr))
    assert read_metadata(path)["step"] == "7"
    assert list(path.parent.iterdir()) == [path]  # nothing half-written stays behind


def test_metadata_are_plain_strings(tmp_path):
    save_generator(tmp_path / "w.safetensors", RRDBNet(1, 8, 4))
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["facehall.arguments"]) == {"blocks": 1, "features": 8, "growth": 4}


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "not a readable safetensors"), (b"\x80\x04pickle", "not a readable safetensors")],
)
def test_other_files_are_refused(tmp_path, content, says):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(FacehallError, match=says) as error:
        load_generator(path)
    assert str(path) in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FacehallError, match="no such weights file"):
        load_generator(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "not written by facehall"),
        ({"facehall.target": "os.system", "facehall.arguments": "{}"}, "not a generator"),
        ({"facehall.target": "Generator", "facehall.arguments": "{}"}, "not a generator"),
        ({"facehall.target": "RRDBNet", "facehall.arguments": '{"depth": 3}'}, "cannot build"),
        ({"facehall.target": "RRDBNet", "facehall.arguments": "{"}, "cannot build"),
        ({"facehall.target": "RRDBNet"}, "cannot build"),
        ({"facehall.target": "RRDBNet", "facehall.arguments": '{"blocks": 1}'}, "another network"),
    ],
)
def test_metadata_that_build_nothing_are_refused(tmp_path, metadata, says):
    path = tmp_path / "w.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(FacehallError, match=says):
        load_generator(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(path, RRDBNet(1, 8, 4))
    with pytest.raises(FacehallError, match=r"weights of another network: it holds a RRDBNet.*\"growth\": 4"):
        load_into(RRDBNet(1, 8, 8), path)


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"params_ema": state, "params": {}}])
def test_public_checkpoints_are_read_with_their_own_size(tmp_path, wrap):
    generator = RRDBNet(2, 8, 4).eval()
    torch.save(wrap(generator.state_dict()), tmp_path / "x4.pth")
    loaded = load_generator(tmp_path / "x4.pth")
    assert loaded.arguments == generator.arguments
    lr = torch.rand(1, 3, 5, 5)
    assert torch.equal(loaded(lr), generator(lr))


def test_a_malicious_checkpoint_executes_nothing(tmp_path):
    torch.save(Malicious(tmp_path / "executed"), tmp_path / "x4.pth")
    with pytest.raises(FacehallError, match="not a checkpoint of an x4 RRDBNet"):
        load_generator(tmp_path / "x4.pth")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("state", [{"weight": torch.zeros(1)}, {"conv_first.weight": torch.zeros(8, 3, 3, 3)}, 3])
def test_other_checkpoints_are_refused(tmp_path, state):
    torch.save(state, tmp_path / "x4.pth")
    with pytest.raises(FacehallError, match="not a checkpoint of an x4 RRDBNet"):
        load_generator(tmp_path / "x4.pth")


def test_equal_networks_make_equal_files(tmp_path):
    generator = tiny_generator()
    origin = {name: name for name in "abcdefgh"}
    for name in ("1", "2"):
        save_generator(tmp_path / name, generator, origin)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
