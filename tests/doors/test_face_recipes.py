"""Recipes of face networks: two steps of each phase, from landmarks and without."""

import json

import numpy as np
import pytest
from small import make_photographs

from facehall.train import train

SMALL = ["trainer=cpu", "debug=fast", "patches.batch_size=2", "metrics.measures=[psnr]", "data.val_limit=1"]
NARROW = ["generator.channels=16"]
RECIPES = {
    "pfsr": NARROW,
    "pfsr_x4": [*NARROW, "patches.patch_size=8"],
    "pfsr_gan": [*NARROW, "discriminator.channels=2"],
    "eipnet": NARROW,
    "eipnet_x4": [*NARROW, "patches.patch_size=8"],
    "pro_uigan": [*NARROW, "generator.attention=8"],
    "pro_uigan_x4": [*NARROW, "generator.attention=8", "patches.patch_size=8"],
    "pro_uigan_gan": [*NARROW, "generator.attention=8", "discriminator.channels=2"],
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Square pictures, larger than the recipes' 128 pixels, with five landmarks each."""
    root = make_photographs(tmp_path_factory.mktemp("faces"), 6, side=136)
    random = np.random.default_rng(0)
    landmarks = {f"{i}.png": {"landmarks": random.uniform(20, 110, (5, 2)).tolist()} for i in range(6)}
    (root / "set.json").write_text(json.dumps({"pictures": landmarks}))
    return root


def run(compose_config, faces, tmp_path, recipe, *overrides):
    paths = [f"data.root={faces}", f"run_dir={tmp_path / 'run'}"]
    return train(compose_config("train", f"experiment=zoo/{recipe}", *SMALL, *paths, *overrides)).training


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_run(compose_config, faces, tmp_path, recipe):
    training = run(compose_config, faces, tmp_path, recipe, *RECIPES[recipe])
    assert training.module.generator_step == 2 * len(training.module.curriculum.trained)
    assert (tmp_path / "run" / "weights" / "generator_ema.safetensors").is_file()
    assert training.datamodule.symmetry == "mirror"
    batch = next(iter(training.datamodule.train_dataloader()))
    assert batch["hr"].shape[-1] == training.module.generator.scale * training.datamodule.patch_size
    assert "landmarks" not in batch


def test_landmarks_of_the_annotations_reach_the_losses(compose_config, faces, tmp_path):
    annotated = [f"data.annotations={faces / 'set.json'}", "losses.landmarks.template=null"]
    training = run(compose_config, faces, tmp_path, "pro_uigan", *RECIPES["pro_uigan"], *annotated)
    assert "landmarks" in training.module.losses["landmarks"].needs[-1]
    assert next(iter(training.datamodule.train_dataloader()))["landmarks"].shape == (2, 5, 2)
