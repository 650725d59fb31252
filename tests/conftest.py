"""Fixtures for the whole suite: composed configs, noise photographs, pretrained weights.

Heavy packages are imported in the fixtures: the process that only hands out the tests has no use for them.
"""

import atexit
import gc
import os
import shutil
import tempfile

# Before torch is imported anywhere: the suite runs in several processes with one thread each. Where a test wants more,
# they wait for each other asleep, as spinning beside busy neighbours takes ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["WANDB_MODE"] = "offline"
if "FACEHALL_PICTURES" not in os.environ:  # also inherited by commands that tests run
    os.environ["FACEHALL_PICTURES"] = tempfile.mkdtemp(prefix="facehall-pictures-")
    atexit.register(shutil.rmtree, os.environ["FACEHALL_PICTURES"], ignore_errors=True)

import logging
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from small_catalogue import small_catalogue  # noqa: F401

from facehall.io.machine import cores

if TYPE_CHECKING:
    from omegaconf import DictConfig

# A tenth of the suite's time went into searching the million objects of imported packages for garbage. They are set
# aside once they are all there, see pytest_collection_finish.
gc.disable()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # set by shells for background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("facehall", deadline=None)  # time per example depends on the machine
settings.load_profile("facehall")


@pytest.hookimpl(optionalhook=True)  # xdist may be switched off
def pytest_xdist_auto_num_workers() -> int:
    """Return the processes of -n auto: one more than there are cores, as many tests wait for processes of their own."""
    return cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process of --dist worksteal start with its share of the slow tests, so that none is left to the end.

    Tests that use `preloaded`, of which each process would have its own, go to the first.
    """
    forking = [item for item in items if "preloaded" in item.fixturenames]
    alone = [item for item in items if item.get_closest_marker("slow") and item not in forking]
    others = iter([item for item in items if item not in forking and item not in alone])
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    hands = (
        [forking + alone] if processes == 1 else [forking, *(alone[i :: processes - 1] for i in range(processes - 1))]
    )
    left, dealt = len(items), []
    for process, first in enumerate(hands):
        share = left // (processes - process)  # as xdist cuts the list
        left -= share
        dealt += first + list(islice(others, max(0, share - len(first))))
    items[:] = dealt + list(others)


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but not among what lives until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # some packages report what is left at the very end as leaks


@pytest.fixture(scope="session")
def preloaded():
    """A process to fork interpreters from that have imported Lightning."""
    from preloaded import Server

    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session", autouse=True)
def _fast_hydra():
    from fast_hydra import speed_up

    speed_up()


@pytest.fixture(scope="session")
def compose_config():
    """Compose a primary config with overrides, as the command line would.

    Compositions of the same options are composed once; the values of single keys are then set by Hydra's own code.
    """
    import copy

    from hydra import compose, initialize_config_dir
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from facehall.config.build import conf_dir
    from facehall.config.resolvers import register_resolvers

    register_resolvers()
    parser = OverridesParser.create()
    composed: dict[tuple[str, ...], DictConfig] = {}

    def run(name: str, *overrides: str) -> "DictConfig":
        values = [
            each
            for each in parser.parse_overrides(list(overrides))
            if not (conf_dir() / each.key_or_group).is_dir() and not each.key_or_group.startswith("hydra")
        ]
        lines = {each.input_line for each in values}
        options = (name, *(line for line in overrides if line not in lines))
        if options not in composed:
            with initialize_config_dir(str(conf_dir()), version_base="1.3"):
                composed[options] = compose(name, overrides=list(options[1:]))
        cfg = copy.deepcopy(composed[options])
        ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        return cfg

    return run


@pytest.fixture(autouse=True)
def restore_logging():
    """Undo the logging configuration of commands that run in this process."""
    logger = logging.getLogger("facehall")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture
def photographs(tmp_path):
    """A folder of six small PNG files with edges in them."""
    from small import make_photographs

    return make_photographs(tmp_path / "photographs", 6)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Paths of the pretrained weights; skips only without a network to fetch them."""
    from facehall.assets import WeightsNotFoundError, resolve

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
