"""Every recipe of conf/experiment/zoo trains for two steps of each phase."""

import pytest

from facehall.config.build import conf_dir
from facehall.train import train

FACES = {"eipnet", "eipnet_x4", "pfsr", "pfsr_x4", "pfsr_gan", "pro_uigan", "pro_uigan_x4", "pro_uigan_gan"}
"""Recipes for whole pictures of their own size: test_face_recipes.py."""
PERCEPTUAL = {"gafh_ridn", "ppon", "spsr", "srobb"}
"""Recipes whose losses need patches of a certain size: test_perceptual_recipes.py."""
RECIPES = sorted({path.stem for path in (conf_dir() / "experiment" / "zoo").glob("*.yaml")} - FACES - PERCEPTUAL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_runs(compose_config, tmp_path, photographs, pretrained, recipe):
    patch_size = {"prosr_x8": 6}.get(recipe, 12)
    small = [
        "patches.batch_size=2",
        f"patches.patch_size={patch_size}",
        "metrics.lpips=none",
        f"run_dir={tmp_path / 'run'}",
    ]
    overrides = [f"experiment=zoo/{recipe}", "debug=fast", "trainer=cpu", f"data.root={photographs}", *small]
    result = train(compose_config("train", *overrides))
    module = result.training.module
    assert module.generator_step == 2 * len(module.curriculum.trained)
    assert all(value > 0 for name, value in result.metrics["bicubic"].items() if name.startswith("psnr"))
    assert (tmp_path / "run" / "weights" / "generator_ema.safetensors").is_file()
