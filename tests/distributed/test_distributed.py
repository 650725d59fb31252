"""Two CPU processes (gloo) with the real command: they train like one process and end together."""

import csv
import json
import os
import signal
import sys
import time
from pathlib import Path

import forked_ranks
import pytest
import torch
from small import LIGHT, TINY, TINY_PSNR, make_photographs
from torch import distributed as dist
from torch import nn

from facehall.distributed.batch_norm import SyncBatchNorm, SyncedBatchNorm2d
from facehall.distributed.ddp import exit_status, is_peer_loss
from facehall.distributed.gathering import gather
from facehall.distributed.ranks import broadcast_text, rank
from facehall.errors import INTERRUPTED, PEER_LOST, USER_ERROR
from facehall.train import train

LENGTH = ["curriculum.psnr.steps=2", "curriculum.gan.steps=4", "curriculum.gan.ramp=2", "patches.steps_per_epoch=2"]
DOUBLE = ["trainer.precision=64-true", "training.clip=0.05", "training.ema_decay=0.9", "optimizer=muon"]
"""Double precision, to tell differences from rounding; clipping, which needs the whole gradient; Muon and Adam."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eight, three of them for validation, so that the ranks' shares differ."""
    return make_photographs(tmp_path_factory.mktemp("photographs"), 8)


@pytest.fixture(scope="module")
def settings(photographs):
    data = ["data=folder", f"data.root={photographs}", "data.val_fraction=0.4"]
    return ["experiment=esrgan_vgg16s", *TINY, *LIGHT, *LENGTH, *data]


@pytest.fixture(scope="module")
def train_in_one_process(compose_config, settings):
    """Train in this process, with the batches of two processes together."""

    def run(folder, *overrides):
        train(compose_config("train", *settings, *DOUBLE, "patches.batch_size=4", f"run_dir={folder}", *overrides))
        return folder

    return run


@pytest.fixture(scope="module")
def reference(train_in_one_process, tmp_path_factory):
    """The run folder of the same training in one process."""
    return train_in_one_process(tmp_path_factory.mktemp("reference"))


def command(*launcher, settings):
    return [sys.executable, *launcher, *settings, "trainer=ddp_cpu"]


def assert_equal_training(folder, reference, rtol=1e-7, atol=1e-10):
    ours, theirs = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (folder, reference)
    )
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(ours[key], value, rtol=rtol, atol=atol, msg=lambda text, key=key: key + text)
    last, expected = (list(csv.DictReader((run / "metrics.csv").open()))[-1] for run in (folder, reference))
    measures = [name for name in expected if name.startswith("val/")]
    assert len(measures) > 8
    for name in measures:
        tolerance = 1e-6 if "drift" in name else None  # a difference of means, possibly near 0
        assert float(last[name]) == pytest.approx(float(expected[name]), rel=1e-6, abs=tolerance), name


@pytest.mark.slow
def test_two_processes_equal_one_with_their_combined_batch(preloaded, tmp_path, settings, reference):
    """The second process is started by Lightning's launcher."""
    started = command("-m", "facehall.train", settings=[*settings, *DOUBLE, "logger=wandb"])
    done = preloaded.run(started, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done in") == 1  # only one process prints
    (folder,) = (tmp_path / "runs" / "esrgan_vgg16s").iterdir()
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    assert_equal_training(folder, reference)


ELASTIC = """
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from facehall.train import main
rendezvous = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "test"}
elastic_launch(LaunchConfig(1, 1, nproc_per_node=2, start_method="fork", max_restarts=0, **rendezvous), main)()
"""


@pytest.mark.slow
def test_torchrun_resumes_the_last_run(preloaded, tmp_path, settings, train_in_one_process, reference):
    """Started by one process, so that an incomplete restoration in two processes would show.

    Torchrun's agent forks here, as the imports of two interpreters take longer than their training.
    """
    first = train_in_one_process(tmp_path / "runs" / "esrgan_vgg16s" / "first", "trainer.max_epochs=2")
    started = command("-c", ELASTIC, settings=[*settings, *DOUBLE, "resume=last"])
    done = preloaded.run(started, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "runs" / "esrgan_vgg16s").iterdir()] == ["first"]
    assert_equal_training(first, reference, 1e-5, 1e-7)  # Lightning restores in float32, then converts to float64


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:8123", True),
        ("[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 5000ms for recv operation to complete", True),
        ("Application timeout caused pair closure", True),  # the same timeout, reported by the pair
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", False),
    ],
)
def test_errors_that_mean_lost_processes(text, lost):
    assert is_peer_loss(RuntimeError(text)) == lost


@pytest.mark.parametrize(
    ("child", "ours", "again"),
    [
        (-signal.SIGKILL, PEER_LOST, True),  # such as out of memory
        (-signal.SIGSEGV, PEER_LOST, True),
        (PEER_LOST, PEER_LOST, True),  # it has lost another one itself
        (-signal.SIGINT, INTERRUPTED, False),
        (USER_ERROR, USER_ERROR, False),
        (1, 1, False),  # a traceback
    ],
)
def test_the_exit_status_tells_a_shell_loop_whether_to_restart(child, ours, again):
    """While [ $? -gt 130 ], as in README."""
    assert exit_status(child) == ours
    assert (ours > INTERRUPTED) == again


REPORTS = {  # exit status of the first process, and what is said once
    "killed": (PEER_LOST, "process 1 of 2 was killed by SIGKILL"),
    "hangs": (PEER_LOST, "did not answer for 5 seconds (trainer.strategy.timeout)"),
    "picture": (USER_ERROR, "photo.png is broken: remove it"),
    "first_killed": (-signal.SIGKILL, "process 1 of 2 lost contact with another process"),
}


@pytest.mark.slow
def test_the_end_of_one_process_ends_all(preloaded, tmp_path, photographs):
    """Each training is two forks of one process, as each start of an interpreter costs as much as all trainings."""
    script = Path(forked_ranks.__file__)
    data = ["data=folder", f"data.root={photographs}", "data.val_fraction=0.4"]
    psnr = [*TINY_PSNR, *LIGHT, "curriculum.psnr.steps=3", "patches.steps_per_epoch=3", *data]
    started = command(script, tmp_path, settings=psnr)
    done = preloaded.run(started, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert ended.keys() == REPORTS.keys()
    for name, (status, message) in REPORTS.items():
        process, found = ended[name]
        deadline = time.monotonic() + 240  # the first process has ended, its peer need not have
        while running(process) and time.monotonic() < deadline:
            time.sleep(0.1)
        output = (tmp_path / f"{name}.txt").read_text()
        assert not running(process), output
        assert found == status, output
        assert output.count(message) == 1, output
        assert "Traceback" not in output


def running(session):
    """Whether a process of the session is still running."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def group_of_one():
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_layers_are_synchronised_in_place():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(2)))
    weight, sync = model[0].weight, SyncBatchNorm()
    sync.apply(model)
    assert type(model[0]) is type(model[1][0]) is SyncedBatchNorm2d
    assert model[0].weight is weight
    sync.revert(model)
    assert type(model[0]) is type(model[1][0]) is nn.BatchNorm2d


def test_gather_and_broadcast_in_a_single_process(group_of_one, monkeypatch):
    x = torch.rand(3, 2)
    assert torch.equal(gather(x), x[None])
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEHALL_RANK0_KEY", "of an earlier job")
    assert rank() == 0
    assert broadcast_text("key", "mine") == "mine"
    monkeypatch.setenv("LOCAL_RANK", "1")  # a child of Lightning's launcher
    assert broadcast_text("key", "another") == "mine"
