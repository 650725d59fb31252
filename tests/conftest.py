"""Fixtures of the whole suite: composed configs, trainings small enough for a test, noise photographs."""

import os

# Before torch is imported anywhere: the suite runs on several processes, each with one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from facehall.assets import resolve
from facehall.config import conf_dir
from facehall.errors import FacehallError
from facehall.imaging import write_picture
from facehall.runs import register_resolvers

TINY_GENERATOR = ["generator.blocks=1", "generator.convs=2", "generator.growth=4", "generator.features=8"]
TINY_STAGES = ["generator.stage_features=8", "generator.stage_growth=4", "generator.carry=2"]
TINY = [
    *TINY_GENERATOR,
    *TINY_STAGES,
    "discriminator.channels=4",
    "patches.batch_size=2",
    "patches.patch_size=8",
    "trainer=cpu",
    "trainer.enable_progress_bar=false",
]
"""Overrides that make a training of experiment=esrgan_vgg16s a matter of a second or two a phase."""
LIGHT = ["perceptual=none", "metrics.lpips=none", "logger=none"]
"""Without pretrained weights and without W&B."""


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


def make_photographs(folder: Path, count: int, side: int = 64) -> Path:
    rng = np.random.default_rng(0)
    for i in range(count):
        blocks = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        write_picture(_made(folder / f"{i}.png"), blocks.repeat(8, axis=0).repeat(8, axis=1))
    return folder


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def pretrained():
    """Asked for by tests that need VGG16 and AlexNet; skips them where the weights cannot be had."""
    try:
        return {name: resolve(name) for name in ("vgg16", "alexnet")}
    except FacehallError as error:
        pytest.skip(f"pretrained weights cannot be had here: {error}")
