"""All recipes of the zoo compose; those of GAFH-RIDN, SROBB, PPON and SPSR run, with small networks."""

import pytest

from facehall.config.build import build, conf_dir
from facehall.train import train

RECIPES = sorted(path.stem for path in (conf_dir() / "experiment" / "zoo").glob("*.yaml"))

GENERATORS = {
    "gafh_ridn": ["blocks=1", "ridbs=1", "features=4"],
    "srobb": ["blocks=1", "features=4"],
    "ppon": ["blocks=1", "features=4", "branch=2"],
    "spsr": ["blocks=2", "features=4", "growth=2", "taps=[1,2]"],
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_composes(compose_config, recipe):
    """Those that extend another one too, with a weight for each loss term and a term for each weight."""
    cfg = compose_config("train", f"experiment=zoo/{recipe}", "data.root=photographs")
    assert cfg.name == recipe
    phases = build(cfg.curriculum, "curriculum").phases  # a ramp may start from the weights of one without steps
    assert {name for phase in phases for name, weight in phase.weights.items() if weight} == set(cfg.losses)


@pytest.mark.parametrize("system", GENERATORS)
def test_recipe(compose_config, tmp_path, photographs, system):
    small = [f"generator.{setting}" for setting in GENERATORS[system]]
    small += ["discriminator.channels=2", "patches.batch_size=2", "metrics.measures=[psnr]", "logger=none"]
    small += ["++losses.ms_ssim.scales=3", "patches.patch_size=12"] if system == "ppon" else ["patches.patch_size=8"]
    where = [f"data.root={photographs}", f"run_dir={tmp_path / 'run'}", "debug=fast", "trainer=cpu"]
    result = train(compose_config("train", f"experiment=zoo/{system}", *small, *where))
    module = result.training.module
    assert module.generator_step == 2 * len(module.curriculum.trained)
    assert module.guard.skipped == 0
