"""Fixtures of the whole suite: composed configs, trainings small enough for a test, noise photographs."""

import os

# Before torch is imported anywhere: the suite runs on several processes, each with one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from facehall.assets import resolve
from facehall.config import conf_dir
from facehall.errors import FacehallError
from facehall.runs import register_resolvers
from small import make_photographs


@pytest.fixture
def compose_config():
    """Compose a primary config with overrides, as the command line would."""
    register_resolvers()

    def run(name: str, *overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose(name, overrides=list(overrides))

    return run


@pytest.fixture
def photographs(tmp_path):
    """A folder of six small PNG files with edges in them."""
    return make_photographs(tmp_path / "photographs", 6)


@pytest.fixture(scope="session")
def pretrained():
    """Asked for by tests that need VGG16 and AlexNet; skips them where the weights cannot be had."""
    try:
        return {name: resolve(name) for name in ("vgg16", "alexnet")}
    except FacehallError as error:
        pytest.skip(f"pretrained weights cannot be had here: {error}")
