"""The profile of a training: its table adds up, and it leaves nothing behind when it is off."""

import csv

import pytest
import torch
from small import LIGHT, TINY

from facehall.imaging import read_rgb
from facehall.train import train
from facehall.training import spans
from facehall.training.profiling import BETWEEN, OTHER, StepProfiler
from facehall.training.spans import listening, span


def test_spans_reach_the_listener_and_are_free_without_one():
    heard = []

    def listener(name):
        heard.append(name)
        return torch.profiler.record_function(name)

    with span("before"):
        pass
    with listening(listener), span("inside"):
        pass
    with span("after"):
        pass
    assert heard == ["inside"]
    assert span("a") is span("b")  # a shared object


def test_a_failing_training_removes_the_listener(make_module, fit, tmp_path):
    module = make_module(psnr_steps=9, gan_steps=0)

    def fails(batch, batch_idx):
        if batch_idx == 2:
            raise ZeroDivisionError
        return type(module).training_step(module, batch, batch_idx)

    module.training_step = fails
    profiler = StepProfiler(tmp_path, skip=1)
    with pytest.raises(ZeroDivisionError):
        fit(module, 4, profiler=profiler)
    profiler.teardown("fit")
    assert spans._listener is None


def test_debug_profile_writes_its_files(compose_config, tmp_path, capsys):
    base = ["experiment=esrgan_vgg16s", "debug=profile", *TINY, *LIGHT, f"run_dir={tmp_path}"]
    train(compose_config("train", *base, "training.steps_per_phase=[0,7]"))
    with (tmp_path / "profile.csv").open() as file:
        rows = {row["section"]: row for row in csv.DictReader(file)}
    assert next(iter(rows)) == "data"
    assert list(rows)[-2:] == ["callbacks", BETWEEN]
    passes = ["generator forward", "discriminator forward", "discriminator backward", "generator backward"]
    for name in [*passes, "generator optimizer", "discriminator optimizer", "average", OTHER]:
        assert rows[name]["calls"] == "3", name
        assert float(rows[name]["host_ms_per_step"]) > 0
        assert rows[name]["gpu_ms_per_step"] == ""
    output = capsys.readouterr().out
    table = (tmp_path / "profile.txt").read_text()
    assert table in output
    assert table.splitlines()[0] == "Time of 3 training steps and their validation, in ms per step:"
    whole = float(table.splitlines()[-1].split()[2])
    assert sum(float(row["host_ms_per_step"]) for row in rows.values()) == pytest.approx(whole, rel=1e-3)
    assert "convolution" in (tmp_path / "operators.txt").read_text()
    assert read_rgb(tmp_path / "profile.png").shape[1] == 770
    assert spans._listener is None


def test_a_training_too_short_to_profile_writes_nothing(make_module, fit, tmp_path):
    fit(make_module(psnr_steps=9, gan_steps=0), 2, profiler=StepProfiler(tmp_path, skip=5))
    assert list(tmp_path.iterdir()) == []
