"""Hydra multirun: each job has its own folder and its own W&B run."""

import subprocess
import sys

import pytest

from facehall.models.weights import read_metadata
from small import LIGHT, TINY

TRAIN = [sys.executable, "-m", "facehall.train", "-m"]
TWO_STEPS = [
    "curriculum.psnr_steps=2",
    "curriculum.gan_steps=0",
    "curriculum.ramp_steps=0",
    "patches.steps_per_epoch=2",
]


@pytest.mark.slow
def test_each_job_has_its_own_folder_and_run(tmp_path):
    light = [option for option in LIGHT if not option.startswith("logger")]
    overrides = ["experiment=esrgan_vgg16s", *TINY, *light, *TWO_STEPS, "generator.growth=4,6"]
    done = subprocess.run([*TRAIN, *overrides], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    jobs = sorted((tmp_path / "runs" / "sweeps" / "esrgan_vgg16s").glob("*/*/summary.json"))
    assert [path.parent.name for path in jobs] == ["0", "1"]
    growths = [read_metadata(path.parent / "weights" / "generator.safetensors")["arguments"] for path in jobs]
    assert ['"growth": 4' in growths[0], '"growth": 6' in growths[1]] == [True, True]
    wandb_runs = [path.name for job in jobs for path in (job.parent / "wandb").glob("offline-run-*")]
    assert len({name.split("-", 3)[-1] for name in wandb_runs}) == 2


def test_sweeps_over_several_devices_are_refused(tmp_path):
    overrides = ["experiment=psnr", "trainer=ddp_cpu", "seed=1,2"]
    done = subprocess.run([*TRAIN, *overrides], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2
    assert "Sweep with single-device jobs" in done.stderr
    assert "Traceback" not in done.stderr


def test_cfg_prints_what_would_run_and_runs_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "facehall.train", "experiment=psnr", "--cfg", "job"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "name: psnr" in done.stdout
    assert not (tmp_path / "runs").exists()
