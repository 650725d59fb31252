"""A training interrupted anywhere and in any way ends as an uninterrupted one."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from small import LIGHT, TINY, tiny_generator

from facehall.errors import FacehallError, StoppedBySignal
from facehall.imaging import write_picture
from facehall.io.atomic import disk_full_error, remove_partials
from facehall.metrics.judges import JUDGES
from facehall.models.weights import save_generator
from facehall.train import train
from facehall.training import SuperResolution
from facehall.training.callbacks import Checkpoints, History
from facehall.training.callbacks.history import write_history
from facehall.training.checkpointing.files import intact_checkpoint, write_checkpoint
from facehall.training.checkpointing.state import random_state, set_random_state
from facehall.training.curves import draw_curves
from facehall.training.signals import StopSignals

LENGTH = ["curriculum.psnr.steps=5", "curriculum.gan.steps=3", "curriculum.gan.ramp=2", "patches.steps_per_epoch=4"]
OPTIONS = [
    *("experiment=esrgan_vgg16s", *TINY, *LIGHT, *LENGTH),
    "scale=2",
    "trainer.limit_val_batches=2",
    "callbacks.history.interval=10",  # curves.png is among the files compared
]
EVERY_STEP = ["callbacks.checkpoint.every_steps=1", "trainer.log_every_n_steps=1"]


class PowerCut(BaseException):
    """An exception that nothing handles."""


@pytest.fixture
def start(compose_config, tmp_path):
    """Train in a folder of the given name."""

    def run(folder, *overrides):
        logger = ["+logger._target_=lightning.pytorch.loggers.CSVLogger", f"+logger.save_dir={tmp_path / 'log'}"]
        options = [*OPTIONS, *EVERY_STEP, *logger, f"run_dir={tmp_path / folder}", *overrides]
        return train(compose_config("train", *options)).run_dir

    return run


@pytest.fixture
def dice(monkeypatch):
    """Make the training step use every random generator, and log values that are absent in some steps."""
    step = SuperResolution.training_step

    def randomised(self, batch, batch_idx):
        value = torch.rand(()) + random.random() + float(np.random.rand())  # noqa: NPY002
        self.log_dict({"train/dice": value}, on_step=True, on_epoch=True, batch_size=1)
        if batch_idx == 0:
            self.log("train/first", value, on_step=False, on_epoch=True, batch_size=1)
            self.log("train/largest", value, on_step=False, on_epoch=True, reduce_fx="max", batch_size=1)
        step(self, {**batch, "lr": batch["lr"] + 0.01 * value}, batch_idx)

    monkeypatch.setattr(SuperResolution, "training_step", randomised)


@pytest.fixture
def rows(monkeypatch):
    """The logged values, {(step, names): values}; values logged twice must be equal."""
    seen = {}

    def record(self, metrics, step=None):
        assert seen.setdefault((step, *sorted(metrics)), dict(metrics)) == pytest.approx(metrics, nan_ok=True, rel=0)

    monkeypatch.setattr(CSVLogger, "log_metrics", record)
    return seen


@contextmanager
def interrupting(owner, hook, step, action):
    """Call `action` once, after a hook at a generator step."""
    original = getattr(owner, hook)

    def interrupted(self, *arguments, **options):
        result = original(self, *arguments, **options)
        module = next((a for a in arguments if isinstance(a, SuperResolution)), self)
        if module.generator_step == step and not done:
            done.append(step)
            action()
        return result

    done = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, hook, interrupted)
        yield
    assert done


def cut():
    raise PowerCut


def send(name):
    return lambda: os.kill(os.getpid(), getattr(signal, name))


INTERRUPTIONS = [  # class, hook, step, action, exception, step at which the training resumes
    (Checkpoints, "on_train_batch_start", 2, cut, PowerCut, 2),
    (SuperResolution, "training_step", 3, send("SIGTERM"), StoppedBySignal, 3),
    (SuperResolution, "validation_step", 4, send("SIGUSR1"), StoppedBySignal, 4),
    (History, "on_train_epoch_end", 4, send("SIGINT"), StoppedBySignal, 4),
    (Checkpoints, "on_train_epoch_start", 4, cut, PowerCut, 4),
    (Checkpoints, "on_train_batch_start", 6, cut, PowerCut, 6),
    (SuperResolution, "validation_step", 8, cut, PowerCut, 8),
    (Checkpoints, "on_train_end", 8, cut, PowerCut, 8),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "interruptions"),
    [
        ([], INTERRUPTIONS),
        (["runtime.data_threads=2", "optimizer=muon_both"], [INTERRUPTIONS[1], INTERRUPTIONS[5]]),
    ],
    ids=["anywhere", "data_threads and muon"],
)
def test_interrupted_anywhere_it_ends_bit_for_bit_equal(start, dice, rows, tmp_path, overrides, interruptions):
    whole = start("whole", *overrides)
    expected = dict(rows)
    rows.clear()
    resume = []
    for owner, hook, step, action, end, resumes_at in interruptions:
        before = {name: signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGUSR1")}
        with interrupting(owner, hook, step, action), pytest.raises(end):
            start("parts", *resume, *overrides)
        assert before == {name: signal.getsignal(getattr(signal, name)) for name in before}
        resume = [f"resume={tmp_path / 'parts'}"]
        saved = torch.load(tmp_path / "parts" / "checkpoints" / "last.ckpt", weights_only=True)
        assert saved["generator_step"] == resumes_at, hook
    parts = start("parts", *resume, *overrides)
    assert rows == expected
    for name in ("metrics.csv", "samples.png", "curves.png", *(f"weights/{path.name}" for path in whole.glob("w*/*"))):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (parts, whole))
    assert all(torch.equal(value, theirs["state_dict"][key]) for key, value in flat(ours["state_dict"]))
    for mine, other in zip(ours["optimizer_states"], theirs["optimizer_states"], strict=True):
        assert all(torch.equal(a[key], b[key]) for a, b in pairs(mine, other) for key in a)
    assert ours["lr_schedulers"] == theirs["lr_schedulers"]
    assert not list(parts.rglob(".*"))


def flat(state):
    return [(key, value) for key, value in state.items() if isinstance(value, torch.Tensor)]


def pairs(one, other):
    return zip(one["state"].values(), other["state"].values(), strict=True)


def test_epochs_without_validation_do_not_repeat_old_measures(start):
    run = start("run", "trainer.check_val_every_n_epoch=2")
    first, second = (line.split(",") for line in (run / "metrics.csv").read_text().splitlines()[1:])
    assert len(first) == len(second)
    assert first.count("") > second.count("")


def test_a_partly_accumulated_step_is_not_saved(start, tmp_path):
    with interrupting(SuperResolution, "training_step", 0, send("SIGTERM")), pytest.raises(StoppedBySignal) as stopped:
        start("run", "training.accumulate=2", "curriculum.psnr.steps=4", "curriculum.gan.steps=0",
              "curriculum.gan.ramp=0")  # fmt: skip
    assert "stopped and saved after step 1." in str(stopped.value)
    assert stopped.value.status == 143
    assert f"run the same command with resume={tmp_path / 'run'}." in str(stopped.value)


def test_a_second_ctrl_c_stops_at_once(start, tmp_path):
    def twice():
        send("SIGINT")()
        send("SIGINT")()

    before = signal.getsignal(signal.SIGINT)
    try:
        with interrupting(SuperResolution, "training_step", 1, twice), pytest.raises(SystemExit) as end:
            start("run")
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored
    assert isinstance(end.value.__context__, KeyboardInterrupt)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_signals_ignored_by_nohup_stay_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = StopSignals()
    try:
        signals.install()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received is signal.SIGTERM
    finally:
        signals.restore()
        signal.signal(signal.SIGHUP, before)


def test_random_states_round_trip(tmp_path):
    def draw():
        return random.random(), float(np.random.rand()), torch.rand(3).tolist()  # noqa: NPY002

    torch.save(random_state(torch.device("cpu")), tmp_path / "state")
    drawn = draw()
    set_random_state(torch.load(tmp_path / "state", weights_only=True), torch.device("cpu"))
    assert draw() == drawn


@contextmanager
def disk_with_room_for(size):
    """Limit the file size: larger writes fail as on a full disk (EFBIG; Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


ROWS = [{"epoch": i, "step": i, "phase": "psnr", **{f"val/{a}{b}": 1.0 * i for a in ("", "bicubic_") for b in ("psnr", "ssim")}} for i in (1, 2)]  # fmt: skip # noqa: E501
WRITERS = {
    "last.ckpt": lambda path: write_checkpoint(path, {"state_dict": torch.rand(50)}),
    "generator.safetensors": lambda path: save_generator(path, tiny_generator()),
    "metrics.csv": lambda path: write_history(path, ROWS),
    "curves.png": lambda path: draw_curves(ROWS, path, [JUDGES["psnr"].measure, JUDGES["ssim"].measure]),
    "samples.png": lambda path: write_picture(path, np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_every_file_as_it_was(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    before = path.read_bytes()
    with disk_with_room_for(20), pytest.raises((OSError, FacehallError)) as error:
        WRITERS[name](path)
    assert disk_full_error(error.value).filename == str(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_reported_and_the_last_checkpoint_stays(start, tmp_path):
    with ExitStack() as disk:
        disk.enter_context(pytest.raises(FacehallError, match=r"last\.ckpt cannot be written: File too large.*resume="))
        fill = disk_with_room_for(2000)
        disk.enter_context(interrupting(SuperResolution, "training_step", 3, lambda: disk.enter_context(fill)))
        start("run")
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["generator_step"] == 2
    assert not list(tmp_path.rglob(".*.part"))
    assert start("run", f"resume={tmp_path / 'run'}").joinpath("summary.json").is_file()


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / ".a.safetensors.1-ab.part").touch()
    remove_partials(tmp_path)
    assert not list(tmp_path.glob("*/.*"))


@pytest.fixture
def checkpoints(tmp_path):
    """last.ckpt of step 2 and previous.ckpt of step 1."""
    for step in (1, 2):
        write_checkpoint(tmp_path / "last.ckpt", {"state_dict": {"a": torch.full((999,), float(step))}})
    return tmp_path


def damage(path):
    """Flip one bit of a number, which only a checksum reveals."""
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(1 if "previous" in path.name else 2).tobytes() * 99)] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_reported_and_replaced_by_the_previous_one(checkpoints, caplog):
    last, previous = checkpoints / "last.ckpt", checkpoints / "previous.ckpt"
    assert intact_checkpoint(last, fall_back=True) == last
    assert not caplog.text
    damage(last)
    with pytest.raises(FacehallError, match="checksum mismatch in"):
        intact_checkpoint(last, fall_back=False)
    assert intact_checkpoint(last, fall_back=True) == previous
    assert "last.ckpt is damaged (checksum mismatch in" in caplog.text
    write_checkpoint(last, {"state_dict": {}})  # the damaged file does not replace the intact previous one
    assert intact_checkpoint(previous, fall_back=True) == previous
    assert (checkpoints / "damaged.ckpt").is_file()


def test_two_damaged_checkpoints_are_an_error(checkpoints):
    for name in ("last.ckpt", "previous.ckpt"):
        damage(checkpoints / name)
    with pytest.raises(FacehallError, match=r"last\.ckpt: this is not a readable"):
        intact_checkpoint(checkpoints / "last.ckpt", fall_back=True)


def test_every_steps_of_0_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="every_steps"):
        Checkpoints(tmp_path, 0)
    assert isinstance(Checkpoints(tmp_path, None), L.Callback)


@pytest.mark.slow
def test_a_signal_to_the_whole_group_lets_the_workers_finish_the_step(preloaded, tmp_path):
    """As sent by a scheduler or a terminal."""
    command = [sys.executable, "-m", "facehall.train", *OPTIONS, "runtime.workers=1", "curriculum.psnr.steps=5000"]
    command += ["patches.steps_per_epoch=5000", "name=run", "callbacks.checkpoint.every_steps=1"]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with preloaded.popen(command, cwd=tmp_path, **options) as process:
        try:
            while process.poll() is None and not list(tmp_path.glob("runs/run/*/checkpoints/last.ckpt")):
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGTERM)
            output = process.communicate(timeout=240)[1]
        finally:
            process.kill()
    assert process.returncode == 143
    assert "To resume, run the same command with resume=last." in output.splitlines()[-1]
    assert "Traceback" not in output
    assert Path(next(tmp_path.glob("runs/run/*/checkpoints/last.ckpt"))).is_file()


@pytest.mark.slow
def test_the_real_command_killed_and_restarted_ends_equal(preloaded, tmp_path):
    script = Path(__file__).parents[2] / "experiments" / "survival" / "measure.py"
    options = ["--kills", "2", "--steps", "32", "--results", tmp_path / "results.csv"]
    done = preloaded.run([sys.executable, script, *options], timeout=300)
    assert done.returncode == 0, done.stderr
    assert "equal: weights/generator_ema.safetensors" in done.stdout
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 3
