"""READER:FILE: weights published by a system's authors, opened wherever weights are."""

import sys
from types import ModuleType

import pytest
import torch
from small import tiny_generator

from facehall.errors import FacehallError
from facehall.inference import Predictor
from facehall.inference.upscalers import open_upscalers
from facehall.models import published
from facehall.models.published import load_published, split_published

OPTIONS = {"device": "cpu", "backend": "eager"}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A reader called toy, and a file for it."""
    module = ModuleType("toy")
    module.read = lambda path, scale=2: tiny_generator(scale)
    monkeypatch.setitem(sys.modules, "facehall.models.published.toy", module)
    monkeypatch.setattr(published, "published_names", lambda: ["toy"])
    (tmp_path / "x2.mat").touch()
    return f"toy:{tmp_path / 'x2.mat'}"


def test_only_names_of_readers_are_split(toy, tmp_path):
    assert split_published(toy) == ("toy", tmp_path / "x2.mat")
    assert split_published("C:/weights.safetensors") is None
    assert split_published("facehall-x4") is None


def test_they_upscale_and_evaluate(toy):
    lr = torch.rand(3, 6, 5)
    predictor = Predictor(toy, **OPTIONS)
    torch.testing.assert_close(predictor.super_resolve(lr), tiny_generator()(lr[None])[0].clamp(0, 1).detach())
    for scale in (2, 4):  # the weights serve both
        (system,) = open_upscalers({"theirs": toy}, scale, **OPTIONS)[1:]
        assert (system.name, system.origin, system.scale) == ("theirs", toy, scale)
    assert open_upscalers({"theirs": toy}, **OPTIONS)[0].scale == 2
    with pytest.raises(FacehallError, match="fidelity mixes the two weights of a run"):
        Predictor(toy, fidelity=0.5, **OPTIONS)


def test_mistakes_are_named(toy, tmp_path):
    with pytest.raises(FacehallError, match=r"nowhere\.mat: no such weights file"):
        Predictor("toy:nowhere.mat", **OPTIONS)
    with pytest.raises(FacehallError, match="other: no reader for published weights"):
        load_published("other", tmp_path / "x2.mat")
    sys.modules["facehall.models.published.toy"].read = lambda path: tiny_generator(2)
    with pytest.raises(FacehallError, match="these are weights of toy for x2, not for x4"):
        load_published("toy", tmp_path / "x2.mat", 4)
