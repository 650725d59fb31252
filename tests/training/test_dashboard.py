"""The layout of the W&B panels names keys that a training logs, and wandb_workspaces accepts it."""

import csv
import re
from pathlib import Path

import pytest

from facehall.cli.main import main
from facehall.metrics.judges import JUDGES
from facehall.training.dashboard import Panel, layout, report, workspace

MEASURES = [JUDGES[name].measure for name in ("psnr", "ssim", "psnr_y", "lpips", "dists")]
RUN = Path(__file__).parents[2] / "experiments" / "esrgan_vgg16s" / "metrics.csv"


@pytest.fixture
def library():
    return pytest.importorskip("wandb_workspaces.workspaces", reason="needs the extra dashboard")


def test_each_measure_stands_with_bicubic_those_for_curves_first():
    quality = layout(MEASURES)["Quality"]
    assert quality[0] == Panel("PSNR in dB, higher is better", ("val/psnr", "val/bicubic_psnr"))
    assert [panel.keys[0] for panel in quality] == [
        *("val/psnr", "val/ssim", "val/lpips", "val/dists", "val/psnr_y", "val/psnr_gain"),
    ]
    assert all(panel.keys[1] == panel.keys[0].replace("val/", "val/bicubic_") for panel in quality[:-1])


def test_the_keys_are_those_of_a_training():
    """metrics.csv has the same keys, without Lightning's _step and _epoch, and no pictures."""
    with RUN.open(encoding="utf-8") as file:
        logged = set(next(csv.reader(file)))
    panels = [each for name, section in layout(MEASURES[:4]).items() if name != "Pictures" for each in section]
    for panel in panels:
        for key in panel.keys:
            assert key.removesuffix("_epoch") in logged, panel
        if panel.pattern is not None:
            assert any(re.fullmatch(panel.pattern, f"{key}{end}") for key in logged for end in ("", "_epoch")), panel


def test_a_workspace_and_a_report_are_built(library):
    built = workspace("someone", "faces", MEASURES)
    assert [section.name for section in built.sections] == list(layout(MEASURES))
    first = built.sections[0].panels[0]
    assert (first.title, list(first.y)) == ("PSNR in dB, higher is better", ["val/psnr", "val/bicubic_psnr"])
    assert "val/bicubic_psnr" in str(built._to_model())


def test_a_report_has_the_same_panels(library, monkeypatch):
    """Its model needs an account; its panels' models do not."""
    built = report("someone", "faces", MEASURES)
    grids = [block for block in built.blocks if hasattr(block, "panels")]
    assert [[panel.title for panel in grid.panels] for grid in grids] == [
        [panel.title for panel in section] for section in layout(MEASURES).values()
    ]
    text = "".join(str(panel._to_model()) for grid in grids for panel in grid.panels)
    assert all(key in text for key in ("val/bicubic_lpips", "learning_rate/", "val/samples"))


def test_the_command_saves_it_or_says_why_not(library, monkeypatch, capsys):
    saved = []
    monkeypatch.setattr(library.Workspace, "save", lambda self: saved.append(self))
    monkeypatch.setattr(library.Workspace, "url", "https://example.org/nw")
    assert main(["dashboard", "--entity", "someone", "--measures", "psnr"]) == 0
    assert saved[0].project == "facehall"
    assert capsys.readouterr().out == "https://example.org/nw\n"

    def refuse(self):
        raise ValueError("no such entity")

    monkeypatch.setattr(library.Workspace, "save", refuse)
    assert main(["dashboard", "--entity", "nobody"]) == 2
    assert "W&B did not save it: no such entity. Log in" in capsys.readouterr().err
    assert main(["dashboard", "--entity", "someone", "--measures", "beauty"]) == 2
    assert "--measures beauty: unknown measure" in capsys.readouterr().err
