"""Trainings by recipe: continued by the same call, and fitted to a time budget by measured step times."""

import json
from pathlib import Path

import pytest
from small import LIGHT, TINY

from facehall.errors import FacehallError
from facehall.sweeps import recipes
from facehall.sweeps.recipes import Plan, fit_to_budget, fit_to_steps, train_recipe
from facehall.sweeps.record import read_record
from facehall.train import train

SETTINGS = [*TINY, *LIGHT, "curriculum.psnr.steps=4", "curriculum.gan.steps=2", "curriculum.gan.ramp=1"]


@pytest.fixture
def in_process(compose_config, monkeypatch):
    """Run trainings in this process; returns the arguments of each start.

    `fail` holds the reasons of failures, `measured` the step times of the trial, which are then replaced by fixed ones.
    """

    class Starts(list):
        fail: tuple[str, ...] = ()
        measured: dict[str, object] | None = None

    starts = Starts()

    def run_training(arguments, folder, *unused):
        starts.append(list(arguments))
        if len(starts) <= len(starts.fail):
            return starts.fail[len(starts) - 1]
        plain = [item for item in arguments if not item.startswith("hydra.run.dir")]
        train(compose_config("train", *plain, f"run_dir={folder}"))
        times = folder / "step_times.json"
        if times.is_file():
            starts.measured = json.loads(times.read_text())
            times.write_text('{"phases": {"psnr": 0.1, "gan": 0.2}, "epoch_end": 0}')
        return ""

    monkeypatch.setattr(recipes, "run_training", run_training)
    return starts


def test_a_budget_is_measured_kept_and_used_up(in_process, tmp_path):
    run = tmp_path / "tiny_x4"
    assert train_recipe(run, "esrgan_vgg16s", 4, SETTINGS, minutes=0.04) == ""
    trial, training = in_process
    assert "training.steps_per_phase=12" in trial
    assert f"hydra.run.dir={run / 'trial'}" in trial
    assert not (run / "trial").exists()
    plan = json.loads((run / "plan.json").read_text())
    assert set(in_process.measured["phases"]) == {"psnr", "gan"}
    assert min([*in_process.measured["phases"].values(), in_process.measured["epoch_end"]]) > 0
    assert plan["step_seconds"] == {"psnr": 0.1, "gan": 0.2}
    assert plan["steps"] == {"psnr": 12, "gan": 6}  # 2.4 s, where the recipe's 4 and 2 steps take 0.8 s
    assert {"curriculum.psnr.steps=12", "curriculum.gan.steps=6", "curriculum.gan.ramp=3"} <= set(training)
    assert json.loads((run / "summary.json").read_text())["steps"] == 18
    record = read_record(run)
    assert (record.status, record.error) == ("finished", "")
    assert record.seconds == json.loads((run / "summary.json").read_text())["seconds"]
    with pytest.raises(FacehallError, match=r"tiny_x4 was begun with .* 0.04 minutes .*, not with .* 5 minutes"):
        train_recipe(run, "esrgan_vgg16s", 4, SETTINGS, minutes=5)


def test_the_same_call_continues_after_a_failure(in_process, tmp_path):
    run = tmp_path / "tiny_x2"
    in_process.fail = ("killed by SIGKILL\nmore",)
    assert train_recipe(run, "esrgan_vgg16s", 2, SETTINGS) == "killed by SIGKILL"
    assert read_record(run).status == "failed"
    before = read_record(run).seconds
    assert train_recipe(run, "esrgan_vgg16s", 2, SETTINGS) == ""
    assert not [item for item in in_process[1] if item.startswith("resume=")]  # there was no checkpoint yet
    assert read_record(run).seconds >= before
    assert train_recipe(run, "esrgan_vgg16s", 2, SETTINGS) == ""
    assert f"resume={run}" in in_process[2]


def test_a_failed_trial_is_reported_and_leaves_no_plan(in_process, tmp_path):
    in_process.fail = ("data.root has no value yet\nmore",)
    run = tmp_path / "tiny_x2"
    assert train_recipe(run, "esrgan_vgg16s", 2, SETTINGS, 1) == "its trial of 12 steps: data.root has no value yet"
    assert not (run / "plan.json").exists()


@pytest.mark.parametrize("minutes", [10, 200])
def test_phases_are_scaled_alike(compose_config, minutes):
    cfg = compose_config("train", "experiment=esrgan_vgg16s_adam")  # 500 and 300 steps, a ramp of 100, 50 an epoch
    plan = fit_to_budget(Plan("esrgan_vgg16s", [], minutes), cfg, {"psnr": 1.0, "gan": 3.0}, 5.0)
    assert plan.steps["psnr"] / plan.steps["gan"] == pytest.approx(500 / 300, rel=0.02)
    chosen = dict(item.split("=") for item in plan.overrides)
    assert int(chosen["curriculum.gan.ramp"]) == pytest.approx(plan.steps["gan"] / 3, abs=1)
    total, per_epoch = sum(plan.steps.values()), int(chosen["patches.steps_per_epoch"])
    epochs = -(-total // per_epoch)
    assert 0 <= epochs * per_epoch - total < epochs
    assert per_epoch == pytest.approx(50, rel=0.2)
    seconds = plan.steps["psnr"] + 3 * plan.steps["gan"] + 5 * epochs
    assert seconds == pytest.approx(60 * minutes, rel=0.03)


def test_a_number_of_steps_is_shared_among_the_phases(in_process, tmp_path):
    run = tmp_path / "tiny_x2"
    assert train_recipe(run, "esrgan_vgg16s", 2, SETTINGS, steps=12) == ""
    (training,) = in_process  # nothing is measured first
    assert {"curriculum.psnr.steps=8", "curriculum.gan.steps=4", "curriculum.gan.ramp=2"} <= set(training)
    assert json.loads((run / "summary.json").read_text())["steps"] == 12
    with pytest.raises(FacehallError, match=r"tiny_x2 was begun with .*, 12 steps, not with .*, 24 steps"):
        train_recipe(run, "esrgan_vgg16s", 2, SETTINGS, steps=24)
    with pytest.raises(FacehallError, match=r"was begun with .*, 12 steps, not with .*, the length of the recipe"):
        train_recipe(run, "esrgan_vgg16s", 2, SETTINGS)


def test_fewer_steps_than_phases_are_an_error(compose_config):
    cfg = compose_config("train", "experiment=esrgan_vgg16s_adam")
    with pytest.raises(FacehallError, match=r"train.steps=1 is too few for x: every phase needs one"):
        fit_to_steps(Plan("x", [], total_steps=1), cfg)


def test_a_budget_below_one_step_is_an_error(compose_config):
    cfg = compose_config("train", "experiment=psnr")
    with pytest.raises(FacehallError, match=r"train.minutes=0.01 is too short for psnr: a step takes up to 2 s"):
        fit_to_budget(Plan("psnr", [], 0.01), cfg, {"psnr": 2.0}, 0.0)


def test_a_damaged_plan_is_named(tmp_path):
    Path(tmp_path / "plan.json").write_text("{")
    with pytest.raises(FacehallError, match=r"plan.json cannot be read .* Remove the folder"):
        train_recipe(tmp_path, "psnr", 2)
