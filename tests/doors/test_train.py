"""Small complete trainings: their files, exact resumption, and every experiment file."""

import csv
import json

import pytest
import torch
from small import LIGHT, TINY, make_photographs

from facehall.config.build import conf_dir
from facehall.errors import FacehallError
from facehall.imaging import read_rgb
from facehall.models.weights import load_generator, read_metadata
from facehall.train import train

ANNOTATED = ("release_x8_aligned", "release_x8_aligned_psnr")
"""Those that need parsing maps, see test_prior_recipes.py."""
EXPERIMENTS = sorted({path.stem for path in (conf_dir() / "experiment").glob("*.yaml")} - set(ANNOTATED))
SHORT = [
    "curriculum.psnr.steps=4",
    "curriculum.gan.steps=4",
    "curriculum.gan.ramp=2",
    "patches.steps_per_epoch=2",
]


TRAINING = ["experiment=esrgan_vgg16s", *TINY, *SHORT]


@pytest.fixture(scope="module")
def small_pictures(tmp_path_factory):
    """Settings of data whose validation takes no longer than the rest of a tiny training."""
    folder = make_photographs(tmp_path_factory.mktemp("small"), 8, side=128)
    return ["data=folder", f"data.root={folder}", "data.val_fraction=0.25"]


@pytest.fixture
def run(compose_config, small_pictures, tmp_path):
    """Train a tiny experiment=esrgan_vgg16s in its own folder."""

    def start(*overrides, folder="run"):
        data = [] if any(override.startswith("data=") for override in overrides) else small_pictures
        return train(compose_config("train", *TRAINING, *data, f"run_dir={tmp_path / folder}", *overrides))

    return start


@pytest.fixture(scope="module")
def finished(compose_config, small_pictures, tmp_path_factory):
    """One complete training, shared by tests that only read it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return train(compose_config("train", *TRAINING, *LIGHT, *small_pictures, f"run_dir={folder}"))


def test_a_run_folder_is_complete(run, pretrained):
    result = run("callbacks.history.interval=10")
    folder = result.run_dir
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "metrics.csv",
        "curves.png",
        "samples.png",
        "summary.json",
        "checkpoints/last.ckpt",
        "weights/generator.safetensors",
        "weights/generator_ema.safetensors",
        "weights/generator_psnr.safetensors",
    } <= files
    assert any(name.startswith("wandb/offline-run") for name in files)
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"], row["phase"]) for row in rows] == [
        ("1", "2", "psnr"),
        ("2", "4", "psnr"),
        ("3", "6", "gan"),
        ("4", "8", "gan"),
    ]
    for name in ("psnr", "ssim", "lpips", "bicubic_psnr", "bicubic_ssim", "bicubic_lpips"):
        assert float(rows[-1][f"val/{name}"]) > 0
    for name in ("pixel", "perceptual", "adversarial", "discriminator", "D(real)", "D(fake)"):
        assert float(rows[-1][f"train/{name}"]) >= 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["steps"] == 8
    assert summary["end_of_gan_phase"]["psnr"] == pytest.approx(float(rows[-1]["val/psnr"]), abs=1e-4)
    assert summary["bicubic"]["lpips"] == pytest.approx(float(rows[0]["val/bicubic_lpips"]), abs=1e-4)
    assert read_rgb(folder / "samples.png").shape[1] > 4 * 200
    assert read_metadata(folder / "weights" / "generator_psnr.safetensors")["step"] == "4"


def test_exported_weights_are_the_averaged_generator(finished):
    result = finished
    lr = torch.rand(1, 3, 8, 8)
    exported = load_generator(result.run_dir / "weights" / "generator_ema.safetensors")
    live = load_generator(result.run_dir / "weights" / "generator.safetensors")
    module = result.training.module
    with torch.no_grad():
        assert torch.allclose(exported(lr), module(lr), atol=1e-6)  # files are contiguous, trainings channels last
        assert torch.allclose(live(lr), module.generator.eval()(lr), atol=1e-6)
        assert not torch.equal(exported(lr), live(lr))


def test_a_training_starts_from_a_weights_file(run, finished, tmp_path, capsys):
    weights = finished.run_dir / "weights" / "generator_ema.safetensors"
    frozen = ("optimizer.generator.lr=0.0", "optimizer.generator.muon_lr=0.0")
    run(*LIGHT, f"init='{weights}'", *frozen, "curriculum.gan.steps=0", folder="second")
    started = load_generator(tmp_path / "second" / "weights" / "generator_ema.safetensors")
    for name, tensor in load_generator(weights).state_dict().items():
        assert torch.equal(tensor, started.state_dict()[name]), name
    assert f"starts from    {weights}" in capsys.readouterr().out
    with pytest.raises(FacehallError, match="weights of another network"):
        run(*LIGHT, f"init='{weights}'", "generator.growth=8", folder="third")


def test_a_last_partial_epoch_is_completed_and_announced(run, capsys, tmp_path):
    run(*LIGHT, "patches.steps_per_epoch=3")
    assert "4 psnr, then 4 gan; 9 in total, to the end of epoch 3" in capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 9


@pytest.mark.parametrize("interrupted_after", [1, 3])
def test_resumed_equals_uninterrupted(run, finished, tmp_path, interrupted_after):
    run(*LIGHT, f"trainer.max_epochs={interrupted_after}", folder="parts")
    resumed = run(*LIGHT, f"resume={tmp_path / 'parts'}", folder="parts")
    ours, theirs = resumed.training.module, finished.training.module
    assert ours.generator_step == theirs.generator_step == 8
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b), name
    for a, b in zip(resumed.training.trainer.optimizers, finished.training.trainer.optimizers, strict=True):
        assert a.param_groups[0]["lr"] == b.param_groups[0]["lr"]
        for mine, other in zip(a.state.values(), b.state.values(), strict=True):
            assert all(torch.equal(mine[key], other[key]) for key in mine)
    assert (resumed.run_dir / "metrics.csv").read_text() == (finished.run_dir / "metrics.csv").read_text()


def test_checkpoints_hold_no_pickled_code(finished):
    checkpoint = torch.load(finished.run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["generator_step"] == 8
    assert not any("perceptual" in key or "protocol" in key for key in checkpoint["state_dict"])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_for_two_steps_of_each_phase(compose_config, tmp_path, pretrained, experiment):
    small = ["patches.batch_size=1", "patches.patch_size=12", "metrics.lpips=none", f"run_dir={tmp_path}"]
    if experiment.endswith("large"):  # 23 identical blocks
        small.append("generator.blocks=2")
    if experiment.startswith(("release", "faces")):  # needs the user's faces
        small.append(f"data.root={make_photographs(tmp_path / 'faces', 4, side=128)}")
    result = train(compose_config("train", f"experiment={experiment}", "debug=fast", "trainer=cpu", *small))
    module = result.training.module
    assert module.generator_step == 2 * len(module.curriculum.trained)
    last = result.metrics[f"end_of_{module.curriculum.trained[-1].name}_phase"]
    assert last["psnr"] > result.metrics["bicubic"]["psnr"] - 1  # networks start near bicubic


def test_a_checkpoint_of_another_network_is_rejected(run, finished):
    with pytest.raises(FacehallError, match=r"another network.*generator"):
        run(*LIGHT, "generator.growth=8", f"resume={finished.run_dir}")


def test_nothing_to_resume_is_an_error(run, tmp_path):
    with pytest.raises(FacehallError, match=r"resume=.*does not exist"):
        run(*LIGHT, f"resume={tmp_path / 'nowhere'}")


def test_errors_at_assembly_are_facehall_errors(run):
    with pytest.raises(FacehallError, match=r"accumulate=3 does not divide patches\.steps_per_epoch=2"):
        run(*LIGHT, "training.accumulate=3")
    with pytest.raises(FacehallError, match=r"training\.accumulate must be a number of batches"):
        run(*LIGHT, "training.accumulate=-1")
    with pytest.raises(FacehallError, match="the psnr phase has nothing to minimise"):
        run(*LIGHT, "curriculum.psnr.weights.pixel=0")


def test_the_test_split_is_measured_on_request(run, tmp_path, capsys):
    """With the averaged generator, as `evaluate` measures the exported file."""
    data = make_photographs(tmp_path / "photographs", 12)
    source = ["data=folder", f"data.root={data}", "data.test_fraction=0.25"]
    result = run(*LIGHT, *source, "test=true")
    found = result.metrics["test"]
    shown = capsys.readouterr().out
    assert f"  generator ema     {found['generator_ema']['psnr']:9.4f}" in shown
    assert found["generator_ema"].keys() == found["bicubic"].keys() == {"psnr", "ssim", "psnr_y", "ssim_y"}
    module, images = result.training.module, result.training.datamodule.test_dataloader().dataset
    with torch.no_grad():
        pairs = [(module(item["lr"][None]), item["hr"][None]) for item in images]
    values = [module.protocol.measure(sr, hr)["psnr"].item() for sr, hr in pairs]
    assert len(values) == len(images) > 1
    assert found["generator_ema"]["psnr"] == pytest.approx(sum(values) / len(values), abs=1e-3)
    assert json.loads((result.run_dir / "summary.json").read_text())["test"] == found


def test_a_missing_test_split_is_reported_before_the_training(run, tmp_path):
    data = make_photographs(tmp_path / "photographs", 6)
    with pytest.raises(FacehallError, match="has no test images"):
        run(*LIGHT, "data=folder", f"data.root={data}", "data.test_fraction=0.0", "test=true")
    assert not (tmp_path / "run" / "metrics.csv").exists()
