"""Recipes of face priors: two steps of each phase, with parsing maps; what differs between them."""

import json

import numpy as np
import pytest
from small import make_photographs

from facehall.errors import FacehallError
from facehall.faces.recognition import RECOGNISERS, Kind
from facehall.imaging import Picture, write_picture
from facehall.io.conf import conf_dir
from facehall.train import train

RECIPES = sorted(path.stem for path in (conf_dir() / "experiment" / "priors").glob("*.yaml"))
SMALL = ["trainer=cpu", "debug=fast", "patches.batch_size=2", "metrics.measures=[psnr]", "data.val_limit=1"]
NARROW = ["generator.features=8", "generator.stage_features=8"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Pictures of 136 pixels with parsing maps."""
    root = make_photographs(tmp_path_factory.mktemp("faces"), 6, side=136)
    pictures = {f"{i}.png": {"parsing": f"maps/{i}.png"} for i in range(6)}
    folder = tmp_path_factory.mktemp("annotations")
    labels = (np.arange(136) // 16).astype(np.uint8)[:, None, None].repeat(136, 1).repeat(3, 2)
    for i in range(6):
        (folder / "maps").mkdir(exist_ok=True)
        write_picture(folder / "maps" / f"{i}.png", Picture(labels, grey=True))
    (folder / "annotations.json").write_text(json.dumps({"parsing_scheme": "faces9", "pictures": pictures}))
    return [f"data.root={root}", f"data.annotations={folder / 'annotations.json'}"]


@pytest.fixture
def known_faces(monkeypatch):
    """A recognition network without weights, in the place of ours."""
    import torch

    class Colours(torch.nn.Module):
        def forward(self, chips):
            return chips.mean((2, 3))

    five = ((3.0, 3), (5, 3), (4, 4), (3, 5), (5, 5))
    for name in ("facehall", "mobileface"):
        monkeypatch.setitem(RECOGNISERS, name, Kind(lambda weights: Colours(), 3, 8, five, "cosine", 0.5))


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_run(compose_config, faces, known_faces, tmp_path, recipe):
    overrides = [*SMALL, *NARROW, *faces, f"run_dir={tmp_path / 'run'}"]
    training = train(compose_config("train", f"experiment=priors/{recipe}", *overrides)).training
    assert training.module.generator_step == 2 * len(training.module.curriculum.trained)
    assert (tmp_path / "run" / "weights" / "generator_ema.safetensors").is_file()
    assert training.datamodule.symmetry == "mirror"
    batch = next(iter(training.datamodule.train_dataloader()))
    assert batch["hr"].shape[-2:] == batch["parsing"].shape[-2:] == (128, 128)


@pytest.mark.parametrize("recipe", ["release_x8_aligned", "release_x8_aligned_psnr"])
def test_the_recipes_of_the_aligned_weights_run(compose_config, faces, known_faces, pretrained, tmp_path, recipe):
    overrides = [*SMALL, *NARROW, *faces, "generator.blocks=2", f"run_dir={tmp_path / 'run'}"]
    module = train(compose_config("train", f"experiment={recipe}", *overrides)).training.module
    assert module.generator_step == 2 * len(module.curriculum.trained)


def test_they_differ_in_the_prior_only(compose_config):
    found = {name: compose_config("train", f"experiment=priors/{name}", "data.root=x") for name in RECIPES}
    assert set(RECIPES) == {"none", "wider", "parts", "parsing", "both", "identity"}
    for name, cfg in found.items():
        phases = [phase.steps for phase in cfg.curriculum.values() if hasattr(phase, "steps")]
        assert sum(phases) == 6000, name
        assert cfg.patches == found["none"].patches
        assert cfg.optimizer == found["none"].optimizer


def test_a_prior_without_annotations_is_an_error_at_assembly(compose_config, faces, tmp_path):
    overrides = [*SMALL, *NARROW, faces[0], f"run_dir={tmp_path / 'run'}"]
    with pytest.raises((FacehallError, ValueError), match="parsing"):
        train(compose_config("train", "experiment=priors/parts", *overrides))
