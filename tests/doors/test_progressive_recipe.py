"""The progressive curricula, and ProSR trained with them to x8."""

import pytest

from facehall.config.build import build
from facehall.train import train


@pytest.mark.parametrize(("scale", "option", "steps"), [(4, "progressive", 10_000), (8, "progressive_x8", 10_000)])
def test_the_curricula_fade_in_each_scale_but_the_first(compose_config, scale, option, steps):
    cfg = compose_config("train", "generator=prosr_small", f"scale={scale}", f"curriculum={option}")
    curriculum = build(cfg.curriculum, "curriculum")
    assert curriculum.total_steps == steps
    active = [phase.scale for phase in curriculum.phases]
    assert active == sorted(active)
    assert active[-1] == scale
    faded = [phase.scale for phase in curriculum.phases if phase.fade]
    assert faded == [s for s in (4, 8) if s <= scale]
    assert all(phase.fade in (0, phase.steps) for phase in curriculum.phases)


def test_prosr_trains_to_x8(compose_config, tmp_path, photographs):
    overrides = ["scale=8", "curriculum=progressive_x8", "generator.blocks=[[1],[1],[1]]", "generator.features=4"]
    small = ["patches.patch_size=6", "patches.batch_size=1", "metrics.measures=[psnr]", f"run_dir={tmp_path / 'run'}"]
    data = [f"data.root={photographs}", "debug=fast", "trainer=cpu"]
    result = train(compose_config("train", "experiment=zoo/prosr", *overrides, *small, *data))
    assert result.training.module.generator_step == 10
    assert set(result.training.module.generator.scales) == {2, 4, 8}
