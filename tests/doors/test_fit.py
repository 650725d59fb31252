"""The fit command, and what its files can be used for."""

import re

import pytest
import torch
from small import run_command
from small_classical import edges, random_forest, random_regression

from facehall.errors import FacehallError
from facehall.fit import main
from facehall.imaging import to_uint8, write_picture
from facehall.inference import Predictor
from facehall.inference.backends import build, choose
from facehall.inference.export import export
from facehall.inference.tiling.receptive_field import receptive_radius
from facehall.inference.upscalers import open_upscalers
from facehall.models.weights import load_generator, read_metadata, save_generator
from facehall.systems import Upscaler, as_rgb

TINY = {
    "a_plus": ["classical.atoms=12", "classical.iterations=2", "classical.neighbours=64", "classical.sizes=2"],
    "anr": ["classical.atoms=12", "classical.iterations=2", "classical.neighbours=6"],
    "rfl": ["classical.trees=2", "classical.depth=3"],
}


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    for i, picture in enumerate(edges(36, 2)):
        write_picture(tmp_path / "photos" / f"{i}.png", to_uint8(picture))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(*overrides):
    return run_command(main, "data=images", "data.root=photos", "split=test", "scale=2", *overrides)


@pytest.mark.parametrize("system", TINY)
def test_a_fitted_file_can_be_used_like_weights(in_folder, capsys, system):
    assert fit(f"system={system}", *TINY[system]) == 0
    file = f"{system}_x2.safetensors"
    assert re.search(rf"to 2 pictures in \d+ s: {re.escape(file)}", capsys.readouterr().out)
    metadata = read_metadata(in_folder / file)
    assert (metadata["data"], metadata["pictures"], metadata["seed"]) == ("photos", "2", "0")
    bicubic, fitted = open_upscalers({"bicubic": "bicubic", "fitted": file}, device="cpu", backend="eager")
    assert isinstance(fitted, Upscaler)
    lr = torch.rand(3, 9, 11)
    sr = fitted.upscale(lr)
    assert sr.shape == (3, 18, 22)
    assert not torch.allclose(sr, bicubic.upscale(lr).clamp(0, 1), atol=1e-3)


def test_existing_files_are_kept(in_folder, capsys):
    arguments = ["system=rfl", *TINY["rfl"], "output=here/x.safetensors"]
    assert fit(*arguments) == 0
    before = (in_folder / "here" / "x.safetensors").read_bytes()
    assert fit(*arguments) == 2
    assert "here/x.safetensors already exists. Set another output, or overwrite=true." in capsys.readouterr().err
    assert fit(*arguments, "overwrite=true") == 0
    assert (in_folder / "here" / "x.safetensors").read_bytes() == before


def test_an_output_that_cannot_be_written_costs_no_fit(in_folder, capsys, monkeypatch):
    def read(files):
        raise AssertionError("pictures were read")

    monkeypatch.setattr("facehall.fit._pictures", read)
    (in_folder / "file").touch()
    assert fit("system=rfl", *TINY["rfl"], "output=file/x.safetensors") == 2
    assert "output=file/x.safetensors cannot be written:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("scale=1", "scale=1: give an integer of at least 2"),
        ("output=x.pt", "output=x.pt: give a file name that ends in .safetensors"),
        ("scale=16", "No picture is large enough to learn from: x16 needs 80 pixels on both sides"),
        ("classical.trees=0", "classical.trees=0"),
        ("classical.tree=3", "classical"),
        ("system=unheard", "unheard"),
    ],
)
def test_errors(in_folder, capsys, override, message):
    assert fit("system=rfl", override) == 2
    assert message in capsys.readouterr().err
    assert not list(in_folder.glob("*.safetensors"))


@pytest.mark.parametrize("make", [random_regression, random_forest])
def test_pictures_in_tiles(tmp_path, make):
    net = make()
    save_generator(tmp_path / "net.safetensors", net)
    whole = Predictor(tmp_path / "net.safetensors", "cpu").super_resolve(lr := torch.rand(3, 30, 26))
    predictor = Predictor(tmp_path / "net.safetensors", "cpu", tile=12)
    assert receptive_radius(as_rgb(net)) <= 8
    # Features at a tie may choose another anchor or leaf after rounding.
    different = (predictor.super_resolve(lr) - whole).abs() > 1e-4
    assert different.float().mean() < 0.01


def test_no_other_backend(tmp_path):
    save_generator(tmp_path / "net.safetensors", random_regression())
    net = load_generator(tmp_path / "net.safetensors")
    cpu = torch.device("cpu")
    for each in (net, as_rgb(net)):
        assert choose(each, cpu, "auto", 10**9)[1].startswith("eager (the only one")
        with pytest.raises(FacehallError, match=r"backend=bf16 cannot run AnchoredRegression, a classical method"):
            build(each, cpu, "bf16")
    with pytest.raises(FacehallError, match=r"net.safetensors holds AnchoredRegression.*cannot be exported"):
        export(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
