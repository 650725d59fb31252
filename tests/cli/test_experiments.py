"""The scripts of experiments/ can be imported and print --help."""

import os
import runpy
import sys
from pathlib import Path

import pytest

from facehall.cli.experiments import add_overrides, experiment_parser

FOLDER = Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(path for path in FOLDER.rglob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_script_answers_help(script, monkeypatch, capsys):
    """In this process, as importing torch is slow; modules next to a script are imported anew for each."""
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    known = set(sys.modules)
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(script), run_name="__main__")
    finally:
        for name in set(sys.modules) - known:
            if FOLDER in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
                del sys.modules[name]
    assert end.value.code in (0, None)
    assert capsys.readouterr().out.startswith("usage: ")


def test_settings_of_a_script(tmp_path, capsys):
    parser = experiment_parser("About it.", results=tmp_path / "table.csv")
    parser.add_argument("which")
    add_overrides(parser)
    options = parser.parse_args(["gan", "seed=1", "data=folder"])
    assert (options.which, options.overrides) == ("gan", ["seed=1", "data=folder"])
    assert options.results == tmp_path / "table.csv"
    with pytest.raises(SystemExit) as end:
        parser.parse_args([])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
