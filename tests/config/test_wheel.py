"""The wheel contains everything that an installed facehall needs."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import facehall
from facehall.config.build import conf_dir
from facehall.models.pretrained import bundled_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        yield Path(path), archive


def test_configuration_weights_and_types_are_inside(wheel):
    inside = set(wheel[1].namelist())
    wanted = {f"facehall/conf/{path.relative_to(conf_dir()).as_posix()}" for path in conf_dir().rglob("*.yaml")}
    wanted |= {f"facehall/weights/{name}.safetensors" for name in bundled_names()}
    wanted |= {"facehall/py.typed", "facehall/__main__.py", "facehall/models/perceptual/vgg16s.safetensors"}
    wanted |= {
        f"facehall/faces/{name}" for name in ("parser.safetensors", "landmarks.safetensors", "identity.safetensors")
    }
    assert wanted <= inside
    assert wheel[0].stat().st_size < 20e6
    assert not [name for name in inside if not name.startswith(("facehall/", "facehall-"))]


def test_one_version(wheel):
    path, archive = wheel
    assert path.name == f"facehall-{facehall.__version__}-py3-none-any.whl"
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {facehall.__version__}\n" in archive.read(metadata).decode()
    (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "facehall = facehall.cli.main:main" in archive.read(scripts).decode()
