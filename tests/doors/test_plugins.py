"""An external package adds a generator, a loss, a measure, a source and a recipe, without edits to facehall."""

import csv
import json
import sys

import pytest
from small import run_command

from facehall.config import plugins
from facehall.errors import FacehallError
from facehall.evaluate import main as evaluate
from facehall.models.generators import Generator
from facehall.models.weights import load_generator
from facehall.train import main as train

PACKAGE = """
import torch
from torch import nn
from torch.nn import functional as F
from facehall.data import ImageFile, SampleSource
from facehall.losses import LossTerm
from facehall.metrics import Judge, Measure
from facehall.models.generators import Generator, records_arguments


class SubPixel(Generator):
    @records_arguments
    def __init__(self, scale=2, features=4):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Conv2d(3, features, 3, padding=1), nn.ReLU())
        self.last = nn.Conv2d(features, 3 * scale**2, 3, padding=1)

    def pyramid(self, lr, up_to=None):
        return {self.scale: F.pixel_shuffle(self.last(self.body(lr)), self.scale)}


class EdgeLoss(LossTerm):
    def forward(self, outputs, batch):
        return F.l1_loss(outputs["sr"].diff(dim=-1), batch["hr"].diff(dim=-1))


class Sharpness(Judge):
    measure = Measure("sharpness", "Sharpness", "higher", format=".3f", description="mean horizontal step of SR")

    def forward(self, sr, hr):
        return sr.diff(dim=-1).abs().mean((1, 2, 3))


class Portraits:
    def split(self, which):
        return SampleSource().split(which)[:1]
"""

CONFIG = {
    "generator/sub_pixel.yaml": "_target_: my_sr.SubPixel\nscale: ${scale}\nfeatures: 4\n",
    "losses/edges.yaml": "# @package losses.edges\n_target_: my_sr.EdgeLoss\n",
    "data/portraits.yaml": "_target_: my_sr.Portraits\n",
    "experiment/mine.yaml": """# @package _global_
defaults:
  - psnr
  - override /generator: sub_pixel
  - override /losses: [charbonnier, edges]
  - override /data: portraits

name: mine
plugins: [my_sr]
curriculum:
  psnr: { steps: 2, weights: { edges: 0.1 } }
metrics:
  measures: [psnr, { _target_: my_sr.Sharpness }]
""",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of the package my_sr, with its configuration in my_sr/conf."""
    for name, text in {"__init__.py": PACKAGE, **{f"conf/{key}": text for key, text in CONFIG.items()}}.items():
        path = tmp_path / "elsewhere" / "my_sr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    known = dict(Generator.registry)
    yield tmp_path / "elsewhere" / "my_sr"
    sys.modules.pop("my_sr", None)
    plugins._imported.discard("my_sr")
    Generator.registry.clear()
    Generator.registry.update(known)


QUICK = ["scale=2", "patches.batch_size=2", "patches.patch_size=8", "patches.steps_per_epoch=2", "trainer=cpu"]
QUIET = ["logger=none", "trainer.enable_progress_bar=false", "hydra.run.dir=run"]


def test_a_plugin_trains_and_appears_in_the_table(package, tmp_path, capsys):
    assert run_command(train, "--config-dir", package / "conf", "experiment=mine", *QUICK, *QUIET) == 0
    shown = capsys.readouterr().out
    assert "SubPixel" in shown
    assert "edges: EdgeLoss" in shown
    assert "Sharpness" in shown
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 2
    assert summary["end_of_psnr_phase"]["sharpness"] > 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["train/edges"]) > 0
    assert float(row["val/sharpness"]) == pytest.approx(summary["end_of_psnr_phase"]["sharpness"], abs=1e-4)

    weights = tmp_path / "run" / "weights" / "generator_ema.safetensors"
    measures = "metrics.measures=[psnr,{_target_:my_sr.Sharpness}]"
    options = [f"weights={weights}", "plugins=[my_sr]", measures, "output=table", "repeats=1"]
    assert run_command(evaluate, "--config-dir", package / "conf", "data=portraits", *options) == 0
    assert "Sharpness" in capsys.readouterr().out
    table = json.loads((tmp_path / "table" / "table.json").read_text())["table"]
    assert all(row["sharpness"] > 0 for row in table)


def test_a_package_that_no_config_names_is_neither_imported_nor_built(package, tmp_path, capsys):
    options = [*QUICK, *QUIET, "plugins=[]"]
    assert run_command(train, "--config-dir", package / "conf", "experiment=mine", *options) == 2
    assert "plugins=[my_sr]" in capsys.readouterr().err
    assert "my_sr" not in sys.modules


def test_weights_of_a_plugin_need_the_plugin(package, tmp_path, capsys):
    assert run_command(train, "--config-dir", package / "conf", "experiment=mine", *QUICK, *QUIET) == 0
    weights = tmp_path / "run" / "weights" / "generator_ema.safetensors"
    sys.modules.pop("my_sr")
    Generator.registry.pop("my_sr.SubPixel")
    with pytest.raises(FacehallError, match=r"FACEHALL_PLUGINS=my_sr"):
        load_generator(weights)
    assert "my_sr" not in sys.modules
    plugins.import_plugins(["my_sr"])
    assert type(load_generator(weights)).__name__ == "SubPixel"


@pytest.mark.parametrize("name", ["no_such_package_here", "../evil", ""])
def test_a_missing_plugin_is_reported(name):
    with pytest.raises(FacehallError, match="plugins"):
        plugins.import_plugins([name])


def test_plugins_of_the_environment(package, monkeypatch):
    monkeypatch.setenv("FACEHALL_PLUGINS", "my_sr")
    plugins.import_plugins()
    assert "my_sr.SubPixel" in Generator.registry
