"""Two CPU processes (gloo) through the real command: they train as one, and end together."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from small import LIGHT, TINY, make_photographs
from torch import distributed as dist
from torch import nn

from facehall.distributed.batch_norm import SyncBatchNorm, SyncedBatchNorm2d
from facehall.distributed.ddp import exit_status, is_loss
from facehall.distributed.gathering import gather
from facehall.distributed.ranks import agree, rank
from facehall.errors import INTERRUPTED, PEER_LOST, USER_MISTAKE
from facehall.train import train

LENGTH = ["curriculum.psnr.steps=3", "curriculum.gan.steps=6", "curriculum.gan.ramp=2", "patches.steps_per_epoch=3"]
DOUBLE = ["trainer.precision=64-true", "training.clip=0.05", "training.ema_decay=0.9"]
"""In double precision, so that what is left of a difference is no rounding; clipped, which needs the whole gradient."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eight, of which three validate: the ranks' shares differ."""
    return make_photographs(tmp_path_factory.mktemp("photographs"), 8)


@pytest.fixture(scope="module")
def settings(photographs):
    data = ["data=folder", f"data.root={photographs}", "data.val_fraction=0.4"]
    return ["experiment=esrgan_vgg16s", *TINY, *LIGHT, *LENGTH, *data]


@pytest.fixture(scope="module")
def train_alone(compose_config, settings):
    """In this process, with the batch of two."""

    def run(folder, *overrides):
        train(compose_config("train", *settings, *DOUBLE, "patches.batch_size=4", f"run_dir={folder}", *overrides))
        return folder

    return run


@pytest.fixture(scope="module")
def alone(train_alone, tmp_path_factory):
    """What one process makes of it."""
    return train_alone(tmp_path_factory.mktemp("alone"))


def command(*launcher, settings):
    return [sys.executable, *launcher, *settings, "trainer=ddp_cpu"]


def assert_equal_training(folder, alone, rtol=1e-7, atol=1e-10):
    ours, theirs = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (folder, alone)
    )
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(ours[key], value, rtol=rtol, atol=atol, msg=lambda text, key=key: key + text)
    last, expected = (list(csv.DictReader((run / "metrics.csv").open()))[-1] for run in (folder, alone))
    measures = [name for name in expected if name.startswith("val/")]
    assert len(measures) > 8
    for name in measures:
        least = 1e-6 if "drift" in name else None  # a difference of means, which may be nearly 0
        assert float(last[name]) == pytest.approx(float(expected[name]), rel=1e-6, abs=least), name


@pytest.mark.slow
def test_two_processes_train_as_one_with_their_batches_together(tmp_path, settings, alone):
    started = command("-m", "facehall.train", settings=[*settings, *DOUBLE, "logger=wandb"])
    done = subprocess.run(started, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done in") == 1  # one process speaks
    (folder,) = (tmp_path / "runs" / "esrgan_vgg16s").iterdir()
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    assert_equal_training(folder, alone)


@pytest.mark.slow
def test_torchrun_goes_on_with_the_last_run(tmp_path, settings, train_alone, alone):
    """Begun by one process, so that two that restored less than everything would not end where one does."""
    begun = train_alone(tmp_path / "runs" / "esrgan_vgg16s" / "begun", "trainer.max_epochs=2")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "facehall.train"]
    started = command(*launcher, settings=[*settings, *DOUBLE, "resume=last"])
    done = subprocess.run(started, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "runs" / "esrgan_vgg16s").iterdir()] == ["begun"]
    assert_equal_training(begun, alone, 1e-5, 1e-7)  # Lightning restores into 32 bits before it widens the networks


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:8123", True),
        ("[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 5000ms for recv operation to complete", True),
        ("Application timeout caused pair closure", True),  # of the same silence, as the pair and not the buffer saw it
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", False),
    ],
)
def test_errors_that_tell_of_lost_processes(text, lost):
    assert is_loss(RuntimeError(text)) == lost


@pytest.mark.parametrize(
    ("child", "ours", "again"),
    [
        (-signal.SIGKILL, PEER_LOST, True),  # out of memory, say
        (-signal.SIGSEGV, PEER_LOST, True),
        (PEER_LOST, PEER_LOST, True),  # it has itself lost another one
        (-signal.SIGINT, INTERRUPTED, False),
        (USER_MISTAKE, USER_MISTAKE, False),
        (1, 1, False),  # a traceback
    ],
)
def test_a_loop_in_a_shell_knows_whether_to_start_again(child, ours, again):
    """While [ $? -gt 130 ], as README has it."""
    assert exit_status(child) == ours
    assert (ours > INTERRUPTED) == again


ENDS = """
import os, signal, time
import torch
from facehall.cli.hydra_app import entry_point
from facehall.data.patches.datasets import PatchDataset
from facehall.errors import FacehallError
from facehall.errors import INTERRUPTED, PEER_LOST, USER_MISTAKE
from facehall.train import train

how = os.environ["HOW"]
plain = PatchDataset.__getitem__

def ends(self, index):
    if os.environ.get("LOCAL_RANK") == "1" and index > 4:
        if how == "picture":
            raise FacehallError("photo.png is broken: remove it")
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hangs":
            time.sleep(600)
    elif index > 4 and how == "first killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, index)

PatchDataset.__getitem__ = ends
if __name__ == "__main__":
    entry_point("train")(train)()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ("killed", PEER_LOST, "process 1 of 2 was killed by SIGKILL"),
        ("hangs", PEER_LOST, "did not answer for 5 seconds (trainer.strategy.timeout)"),
        ("picture", 2, "photo.png is broken: remove it"),
        ("first killed", -9, "process 1 of 2 has lost another one"),
    ],
)
def test_the_end_of_one_process_is_that_of_all(tmp_path, settings, how, status, says):
    script = tmp_path / "script.py"
    script.write_text(ENDS)
    overrides = [f"run_dir={tmp_path / 'run'}", f"hydra.run.dir={tmp_path / 'run'}"]
    if how == "hangs":  # the others end at once, and must not pass for silent beside busy neighbours
        overrides.append("trainer.strategy.timeout=5")
    started = [sys.executable, script, *settings, "trainer=ddp_cpu", *overrides]
    environment = os.environ | {"HOW": how}
    job = subprocess.Popen(
        started, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environment,
    )  # fmt: skip
    _, said = job.communicate(timeout=240)  # until the last process has closed its end
    assert job.returncode == status, said
    assert said.count(says) == 1, said
    assert "Traceback" not in said
    deadline = time.monotonic() + 120
    while (left := running(job.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, said


def running(session):
    """Whether a process of the session is still there."""
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


def test_a_process_alone_gathers_its_own_and_agrees_with_itself(group_of_one, monkeypatch):
    x = torch.rand(3, 2)
    assert torch.equal(gather(x), x[None])
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEHALL_RANK0_KEY", "of an earlier job")
    assert rank() == 0
    assert agree("key", "mine") == "mine"
    monkeypatch.setenv("LOCAL_RANK", "1")  # a child of Lightning's launcher
    assert agree("key", "another") == "mine"
