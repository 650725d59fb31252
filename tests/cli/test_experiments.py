"""The scripts of experiments/ can be imported and print --help."""

import subprocess
import sys
from pathlib import Path

import pytest

from facehall.cli.experiments import add_overrides, experiment_parser

FOLDER = Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(path for path in FOLDER.rglob("*.py") if "__main__" in path.read_text())

RUN = """
import contextlib, io, runpy, sys
for script in sys.argv[1:]:
    shown = io.StringIO()
    before = list(sys.path), set(sys.modules)
    sys.path.insert(0, script.rpartition("/")[0])
    sys.argv = [script, "--help"]
    with contextlib.redirect_stdout(shown):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            assert end.code in (0, None), script
        else:
            raise AssertionError(f"{script} did not end with --help")
    assert shown.getvalue().startswith("usage: "), script
    sys.path[:] = before[0]
    for name in ("pictures", "candidates", "heldout", "odd_inputs"):
        sys.modules.pop(name, None)
    print(script)
"""


def test_every_script_answers_help():
    """All in one process, as importing torch is slow."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, SCRIPTS)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(map(str, SCRIPTS))


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
