"""Bundled weights: by name, in half precision, each with a model card."""

import pytest
import torch
from small import tiny_generator

from facehall.errors import FacehallError
from facehall.evaluate import evaluate
from facehall.inference import Predictor
from facehall.models import pretrained as named
from facehall.models.pretrained import WEIGHTS_FOLDER, bundled_names, card_file, default_weights, weights_file
from facehall.models.weights import load_generator, read_metadata, save_generator

MEGABYTES = 30
"""Of all weights once installed; those of the wheel, which is compressed: tests/config/test_wheel.py."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(named, "WEIGHTS_FOLDER", tmp_path)
    return tmp_path


def test_a_bundled_name_is_a_file_of_the_package_and_anything_else_a_path(folder):
    save_generator(folder / "facehall-x2.safetensors", tiny_generator())
    assert bundled_names() == ["facehall-x2"]
    assert weights_file("facehall-x2") == folder / "facehall-x2.safetensors"
    assert str(weights_file("facehall-x9")) == "facehall-x9"
    assert str(weights_file("some/facehall-x2")) == "some/facehall-x2"


def test_default_weights_for_a_scale(folder):
    with pytest.raises(FacehallError, match="no weights for x2"):
        default_weights(2)
    save_generator(folder / "facehall-x2_psnr.safetensors", tiny_generator())
    assert default_weights(2) == "facehall-x2_psnr"
    save_generator(folder / "facehall-x2.safetensors", tiny_generator())
    assert default_weights(2) == "facehall-x2"
    with pytest.raises(FacehallError, match="no weights for x4, only facehall-x2, facehall-x2_psnr"):
        Predictor()


def test_half_precision_on_disk_is_float32_in_memory(folder):
    generator = tiny_generator()
    save_generator(folder / "w.safetensors", generator)
    whole = (folder / "w.safetensors").stat().st_size
    save_generator(folder / "w.safetensors", generator, dtype=torch.float16)
    assert (folder / "w.safetensors").stat().st_size < 0.75 * whole
    half = load_generator(folder / "w.safetensors")
    for loaded, given in zip(half.parameters(), generator.parameters(), strict=True):
        assert loaded.dtype == torch.float32
        torch.testing.assert_close(loaded, given, rtol=1e-3, atol=1e-6)


def test_bundled_weights_are_small_and_have_a_model_card():
    files = sorted(WEIGHTS_FOLDER.glob("*.safetensors"))
    assert files
    assert sum(path.stat().st_size for path in files) < MEGABYTES * 1e6
    for path in files:
        assert read_metadata(path)["about"]
        assert f"**`{path.stem}`**" in card_file(path.stem).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_weights_restore_a_portrait(name, compose_config, tmp_path):
    """Grace Hopper's, downscaled: the faithful weights beat bicubic, and the sharp ones are not much worse."""
    overrides = [f"weights={name}", "metrics.lpips=none", "repeats=1", "sheet=0", f"output={tmp_path}"]
    evaluation = evaluate(compose_config("evaluate", *overrides))
    portrait = next(image for image in evaluation.images if image.name == "grace_hopper")
    gain = portrait.measures["model"]["psnr"] - portrait.measures["bicubic"]["psnr"]
    assert gain > (0.5 if name.endswith(("_psnr", "_faithful")) else -0.5)
