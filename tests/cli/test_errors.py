"""User errors at the command line of a training: status 2 and one paragraph that names the problem, no traceback."""

import signal
import subprocess
import sys

import pytest
import torch
from small import error_message, run_command

from facehall.cli.errors import original_message
from facehall.cli.hydra_app import entry_point
from facehall.data.patches.datasets import PatchDataset
from facehall.errors import FacehallError
from facehall.imaging import list_images
from facehall.train import main

TINY = [
    *(
        "generator.blocks=1",
        "generator.dense_blocks=1",
        "generator.convs=1",
        "generator.features=4",
        "generator.growth=2",
    ),
    *("generator.stage_features=4", "generator.stage_growth=2", "generator.carry=2"),
    *("experiment=psnr", "scale=2", "curriculum.psnr.steps=2", "patches.steps_per_epoch=2"),
    *("patches.patch_size=8", "patches.batch_size=8", "metrics.lpips=none", "logger=none", "trainer=cpu"),
    "trainer.enable_progress_bar=false",
]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def threads():
    """Restore torch's number of threads, which a training changes."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("data=foldr", "data=foldr: no such option. Did you mean 'folder'? Options: "),
        ("experiment=esrgan_vgg16", "Did you mean 'esrgan_vgg16s'? Options: esrgan_vgg16s,"),
        ("experimnt=psnr", "the config has no key 'experimnt'. Did you mean 'experiment'?"),
        ("sede=3", "Did you mean 'seed'?"),
        ("generator.grwth=3", "the config has no key 'generator.grwth'. Did you mean 'growth'?"),
        ("mining.treshold=0", "Did you mean 'threshold'?"),
        ("data.root=x", "the config has no key 'data.root'. This node has no keys."),
        ("seed", "'seed' is not of the form KEY=VALUE"),
        ("name=a(b", "'name=a(b' is not of the form KEY=VALUE"),
        ("seed=1,2", "--multirun"),
        ("data=folder", "data.root has no value yet: give one on the command line, data.root=VALUE"),
        ("generator.scale=${nowhere}", "Interpolation key 'nowhere' not found"),
        ("generator._target_=os.getcwd", "generator: the config would call 'os.getcwd', but only"),
        ("generator.topology=circular", "topology must be 'sequential' or 'parallel', not 'circular'"),
        ("resume=nowhere", "resume=nowhere"),
    ],
)
def test_user_errors_are_one_paragraph_and_leave_no_folder(argument, message, tmp_path, capsys, threads):
    assert run_command(main, *TINY, argument) == 2
    shown = error_message(capsys.readouterr().err)
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert shown.startswith("\nfacehall: ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.glob("runs/*/*"))


@pytest.mark.parametrize(("root", "message"), [("nowhere", "nowhere does not exist"), ("a (1)", "contains no images")])
def test_missing_and_empty_folders(root, message, tmp_path, capsys, threads):
    (tmp_path / "a (1)").mkdir()
    assert run_command(main, *TINY, "data=folder", f"data.root={root}") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_picture_is_named(workers, photographs, capsys, threads):
    for path in list_images(photographs):
        path.write_bytes(path.read_bytes()[:200])
    arguments = [*TINY, "data=folder", "data.root=photographs", f"runtime.workers={workers}", "runtime.threads=1"]
    assert run_command(main, *arguments) == 2
    paragraph = capsys.readouterr().err.rpartition("\nfacehall: ")[2]
    first, *lines, advice = paragraph.strip().splitlines()
    assert first == "6 of 6 pictures cannot be used:"
    assert sorted(line[:42] for line in lines) == [f"  The image photographs/{i}.png cannot be re" for i in range(6)]
    assert "patches.checks=skip" in advice


def test_weights_of_another_network_cannot_be_resumed(photographs, capsys, threads):
    data = ["data=folder", "data.root=photographs", "runtime.threads=1"]
    assert run_command(main, *TINY, *data) == 0
    assert run_command(main, *TINY, *data, "generator.growth=3", "resume=last") == 2
    assert "another network" in capsys.readouterr().err


def test_the_message_of_a_worker_process_loses_its_traceback():
    wrapped = (
        "Caught FacehallError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File x\n"
        "facehall.errors.FacehallError: The image a.png is empty.\nCopy it again.\n"
    )
    assert original_message(FacehallError(wrapped)) == "The image a.png is empty.\nCopy it again."
    assert original_message(FacehallError("facehall.errors.FacehallError: a")) == "facehall.errors.FacehallError: a"


def command(error):
    def function(cfg):
        raise error

    return entry_point("predict")(function)


def test_other_exceptions_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(command(ZeroDivisionError()))


def test_ctrl_c_prints_how_to_resume(capsys):
    assert run_command(command(KeyboardInterrupt())) == 130
    assert "interrupted. Images written so far are complete" in capsys.readouterr().err


def test_ctrl_c_in_a_training_prints_how_to_resume(monkeypatch, capsys, threads):
    def interrupted(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(PatchDataset, "__getitem__", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert run_command(main, *TINY, "runtime.threads=1") == 130  # Lightning by itself would exit with 1
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored
    assert "resume=last" in capsys.readouterr().err


def test_other_exit_statuses_are_unchanged():
    assert run_command(command(SystemExit(3))) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("facehall.train experiment=psnr data=foldr", "Did you mean 'folder'?"),
        ("facehall.mine data=folder data.root=/nowhere output=out", "/nowhere does not exist"),  # without Lightning
    ],
)
def test_through_the_real_command(words, message):
    words = [sys.executable, "-m", *words.split(" ")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Error executing job" not in done.stderr
