"""Which systems can be opened: given files, the package, finished runs; and the advice for all others."""

import json

import pytest
from small import tiny_generator, write_weights

from facehall.errors import FacehallError
from facehall.inference.availability import (
    Available,
    Missing,
    find_weights_of,
    open_available,
    select_systems,
    training_minutes,
)
from facehall.models.weights import save_generator
from facehall.systems import System

OPTIONS = {"device": "cpu", "backend": "eager"}


@pytest.fixture
def run(tmp_path):
    """A run of `tiny` at x2, not yet finished."""
    folder = tmp_path / "zoo" / "tiny_x2"
    write_weights(folder / "weights" / "generator_ema.safetensors")
    return folder


def find(system, tmp_path, files=None, name="tiny"):
    return find_weights_of(name, system, 2, files or {}, tmp_path / "zoo")


def test_selection_by_name_and_scale(small_catalogue):
    assert list(select_systems(None, 2)) == ["bicubic", "faces", "secret", "tiny"]
    assert list(select_systems(["tiny", "large"], 4)) == ["tiny"]
    with pytest.raises(FacehallError, match=r"unknown system 'tny'. Did you mean 'tiny'\? Known: bicubic, faces"):
        select_systems(["tny"], 4)
    with pytest.raises(FacehallError, match=r"none of large supports scale=4"):
        select_systems(["large"], 4)


def test_a_run_counts_once_it_is_finished(small_catalogue, run, tmp_path):
    system = System("tiny", recipe="esrgan_vgg16s", obtain="ask.")
    assert find(system, tmp_path, name="secret") == Missing("secret", "write to its authors")
    assert find(system, tmp_path) == Missing("tiny", "train it: python -m facehall.train experiment=esrgan_vgg16s")
    (run / "summary.json").write_text('{"seconds": 90, "steps": 700}')
    weights = str(run / "weights" / "generator_ema.safetensors")
    assert find(system, tmp_path) == Available("tiny", weights, "trained", 1.5, 700)
    (run / "job.json").write_text(json.dumps({"seconds": 240}))  # all starts together
    assert training_minutes(run / "weights" / "generator_ema.safetensors") == 4
    assert find(system, tmp_path, {"tiny": weights}) == Available("tiny", weights, "trained", 4, 700)
    assert isinstance(find(system, tmp_path, name="secret"), Missing)


def test_fitted_methods_need_no_run(run, tmp_path):
    weights = run / "weights" / "generator_ema.safetensors"
    save_generator(weights, tiny_generator(), {"seconds": "90"})
    assert find(System("A+", kind="classical"), tmp_path) == Available("tiny", str(weights), "trained", 1.5)
    assert find(System("SelfExSR", kind="classical"), tmp_path, name="selfexsr") == Available(
        "selfexsr", "selfexsr", "none"
    )
    assert isinstance(find(System("RFL", kind="classical"), tmp_path, name="rfl"), Missing)


def test_files_of_authors(tmp_path):
    theirs = tmp_path / "x4.mat"
    theirs.touch()
    read = System("SRCNN", published_weights="srcnn")
    assert find(read, tmp_path, {"tiny": str(theirs)}) == Available("tiny", f"srcnn:{theirs}", "authors")
    with pytest.raises(
        FacehallError, match=r"files\.tiny=.*x4\.mat: only \.safetensors files of this system can be read"
    ):
        find(System("no reader"), tmp_path, {"tiny": str(theirs)})
    with pytest.raises(FacehallError, match=r"files\.tiny=nowhere\.mat: no such file"):
        find(read, tmp_path, {"tiny": "nowhere.mat"})


def test_opening(small_catalogue, run):
    weights = str(run / "weights" / "generator_ema.safetensors")
    found = [
        Available("bicubic", "bicubic", "none"),
        Available("tiny", weights, "trained"),
    ]
    opened = open_available(found, 2, **OPTIONS)
    assert {name: (upscaler.name, upscaler.scale) for name, (_, upscaler) in opened.items()} == {
        "bicubic": ("bicubic", 2),
        "tiny": ("tiny", 2),
    }
    with pytest.raises(FacehallError, match="is a x2 network"):
        open_available(found[1:2], 4, **OPTIONS)
