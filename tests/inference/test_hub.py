"""Folders for the Hugging Face Hub: written, read back, and read by huggingface_hub's own mixin."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import tiny_generator, write_weights

from facehall.cli.main import main
from facehall.errors import FacehallError
from facehall.imaging import read_size
from facehall.inference import Predictor
from facehall.inference.hub import export_folder
from facehall.models.generators import Generator, MultiScaleRRDB, RRDBNet
from facehall.models.pretrained import bundled_names, card_file, weights_file
from facehall.models.weights import load_generator, read_metadata


@pytest.fixture
def weights(tmp_path):
    return write_weights(tmp_path / "weights.safetensors")


@pytest.fixture
def folder(weights, tmp_path):
    return export_folder(weights, tmp_path / "shared" / "my-x2")


def test_the_folder_holds_a_config_the_weights_and_a_card(folder, weights):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["my-x2"]
    config = json.loads((folder / "config.json").read_text())
    assert config["features"] == 4
    assert config["facehall"] == {"target": "MultiScaleRRDB", "step": "7", "scale": 2}
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: facehall\n")
    assert f"Parameters: {sum(p.numel() for p in tiny_generator().parameters()):,}" in card
    assert "facehall upscale photo.jpg --weights my-x2" in card


def test_the_command_writes_it_and_upscale_reads_it(weights, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(weights), "my-x2", "--format", "hub", "-q"]) == 0
    assert main(["upscale", str(photographs / "0.png"), "-w", "my-x2", "-o", "large.png", "--backend", "eager"]) == 0
    assert read_size("large.png") == (128, 128)


def test_the_folder_gives_the_same_output_as_the_file(folder, weights):
    lr = torch.rand(3, 9, 7)
    expected = Predictor(weights, "cpu", backend="eager").super_resolve(lr)
    assert torch.equal(Predictor(folder, "cpu", backend="eager").super_resolve(lr), expected)


def test_the_mixin_of_huggingface_hub_reads_it(folder, weights):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    known = dict(Generator.registry)
    try:

        class Shared(MultiScaleRRDB, hub.PyTorchModelHubMixin):
            pass

        shared = Shared.from_pretrained(folder)
        shared.save_pretrained(folder.with_name("resaved"))
    finally:
        Generator.registry.clear()
        Generator.registry.update(known)
    lr = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        assert torch.equal(shared(lr), load_generator(weights)(lr))
    with pytest.raises(FacehallError, match="not written by facehall"):  # it lacks the class's name, as docs/ say
        load_generator(folder.with_name("resaved") / "model.safetensors")


def test_weights_rewritten_without_metadata_are_rebuilt_from_the_config(folder, weights):
    file = folder / "model.safetensors"
    save_file(load_file(file), file)
    assert read_metadata(file) == read_metadata(weights)
    lr = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        assert torch.equal(load_generator(file)(lr), load_generator(weights)(lr))
    (folder / "config.json").write_text("[]")
    with pytest.raises(FacehallError, match=r"config\.json: not a JSON object"):
        read_metadata(file)
    (folder / "config.json").write_text("{}")
    with pytest.raises(FacehallError, match=r"not written by facehall"):
        read_metadata(file)


def test_a_public_checkpoint(tmp_path):
    torch.manual_seed(0)
    network = RRDBNet(blocks=1, features=4, growth=2)
    torch.save(network.state_dict(), tmp_path / "x4.pth")
    folder = export_folder(tmp_path / "x4.pth", tmp_path / "hub")
    assert torch.equal(load_generator(weights_file(folder)).conv_first.weight, network.conv_first.weight)


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_weights_have_their_card(name, tmp_path):
    folder = export_folder(weights_file(name), tmp_path / name)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"# {card_file(name).stem}\n" in card
    assert "## Figures" in card


def test_nothing_is_overwritten_and_nothing_is_left(folder, weights, tmp_path, monkeypatch):
    with pytest.raises(FacehallError, match="already exists"):
        export_folder(weights, folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(FacehallError, match="No space left"):
        export_folder(weights, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared", "weights.safetensors"]
