"""Run folders: a new one, or that of the run to resume."""

import os
from pathlib import Path

import pytest

from facehall.errors import FacehallError
from facehall.training.runs import checkpoint_to_resume, earlier_runs, resume_hint, run_folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(name, when, checkpoint="last.ckpt"):
    folder = Path(f"runs/{name}/{when}/checkpoints")
    folder.mkdir(parents=True)
    if checkpoint:
        path = folder / checkpoint
        path.touch()
        os.utime(path, (when, when))


def test_a_fresh_run_gets_its_own_folder(here):
    make_run("psnr", 1)
    folder = run_folder("psnr", None)
    assert folder.startswith("runs/psnr/")
    assert folder != "runs/psnr/1"


def test_resume_last_is_the_newest_of_that_name_with_a_checkpoint(here):
    for name, when, checkpoint in (
        ("psnr", 20, "last.ckpt"),
        ("psnr", 10, "last.ckpt"),
        ("psnr", 30, None),
        ("other", 40, "last.ckpt"),
    ):
        make_run(name, when, checkpoint)
    assert run_folder("psnr", "last") == "runs/psnr/20"
    assert str(checkpoint_to_resume("last", "psnr")) == "runs/psnr/20/checkpoints/last.ckpt"
    assert [run.name for run in earlier_runs("psnr")] == ["10", "20"]


def test_resume_takes_a_folder_or_a_file(here):
    make_run("psnr", 1)
    for resume in ("runs/psnr/1", "runs/psnr/1/checkpoints/last.ckpt"):
        assert run_folder("psnr", resume) == "runs/psnr/1"
        assert str(checkpoint_to_resume(resume, "psnr")) == "runs/psnr/1/checkpoints/last.ckpt"


def test_nothing_to_resume(here):
    assert checkpoint_to_resume(None, "psnr") is None
    with pytest.raises(FacehallError, match="resume=last: runs/psnr contains no run"):
        checkpoint_to_resume("last", "psnr")
    with pytest.raises(FacehallError, match=r"resume=there.*does not exist"):
        checkpoint_to_resume("there", "psnr")
    assert run_folder("psnr", "there").startswith("runs/psnr/")


def test_a_run_with_only_the_previous_checkpoint_can_be_resumed(here):
    make_run("psnr", 1)
    make_run("psnr", 2, checkpoint="previous.ckpt")
    for resume in ("last", "runs/psnr/2"):
        assert run_folder("psnr", resume) == "runs/psnr/2"
        assert str(checkpoint_to_resume(resume, "psnr")) == "runs/psnr/2/checkpoints/previous.ckpt"


def test_resume_auto_continues_an_unfinished_run_and_starts_a_new_one_otherwise(here):
    assert checkpoint_to_resume("auto", "psnr") is None
    make_run("psnr", 1)
    assert run_folder("psnr", "auto") == "runs/psnr/1"
    assert str(checkpoint_to_resume("auto", "psnr")) == "runs/psnr/1/checkpoints/last.ckpt"
    Path("runs/psnr/1/summary.json").touch()
    assert checkpoint_to_resume("auto", "psnr") is None
    assert run_folder("psnr", "auto") not in ("runs/psnr/1", "runs/psnr/auto")
    assert checkpoint_to_resume("last", "psnr") is not None


@pytest.mark.parametrize(
    ("run", "hint"), [("runs/psnr/1", "same command with resume=last."), ("other/1", "command with resume=other/1.")]
)
def test_resume_hint(here, run, hint):
    assert hint in resume_hint(Path(run))
    assert hint in resume_hint(here / run)
