"""Run folders: a new one, or that of the run to be resumed."""

import os
from pathlib import Path

import pytest

from facehall.errors import FacehallError
from facehall.runs import _run_dir, checkpoint_to_resume, earlier_runs


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(name, when, checkpoint=True):
    folder = Path(f"runs/{name}/{when}/checkpoints")
    folder.mkdir(parents=True)
    if checkpoint:
        path = folder / "last.ckpt"
        path.touch()
        os.utime(path, (when, when))


def test_a_fresh_run_gets_its_own_folder(here):
    make_run("psnr", 1)
    folder = _run_dir("psnr", None)
    assert folder.startswith("runs/psnr/")
    assert folder != "runs/psnr/1"


def test_resume_last_is_the_newest_of_that_name_with_a_checkpoint(here):
    for name, when, checkpoint in (
        ("psnr", 20, True),
        ("psnr", 10, True),
        ("psnr", 30, False),
        ("other", 40, True),
    ):
        make_run(name, when, checkpoint)
    assert _run_dir("psnr", "last") == "runs/psnr/20"
    assert str(checkpoint_to_resume("last", "psnr")) == "runs/psnr/20/checkpoints/last.ckpt"
    assert [run.name for run in earlier_runs("psnr")] == ["10", "20"]


def test_resume_takes_a_folder_or_a_file(here):
    make_run("psnr", 1)
    for resume in ("runs/psnr/1", "runs/psnr/1/checkpoints/last.ckpt"):
        assert _run_dir("psnr", resume) == "runs/psnr/1"
        assert str(checkpoint_to_resume(resume, "psnr")) == "runs/psnr/1/checkpoints/last.ckpt"


def test_nothing_to_resume(here):
    assert checkpoint_to_resume(None, "psnr") is None
    with pytest.raises(FacehallError, match="resume=last: runs/psnr holds no run"):
        checkpoint_to_resume("last", "psnr")
    with pytest.raises(FacehallError, match=r"resume=there.*does not exist"):
        checkpoint_to_resume("there", "psnr")
    assert _run_dir("psnr", "there").startswith("runs/psnr/")
