"""The notebooks run, cell by cell in one namespace, and print what they hold."""

import ast
import contextlib
import io
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", sorted(DOCS.glob("**/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    """Without a kernel, whose start would take longer than the cells. Figures may differ in their last digit."""
    monkeypatch.chdir(tmp_path)
    namespace = {}
    code = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert code
    for cell in code:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.parse("".join(cell["source"])), str(path), "exec"), namespace)
        stored = "".join("".join(output.get("text", "")) for output in cell["outputs"])
        assert values(printed.getvalue()) == [each if isinstance(each, str) else near(each) for each in values(stored)]


def values(text):
    """Words as they are, numbers as numbers."""
    return [float(word) if word.replace(".", "", 1).isdigit() else word for word in text.split()]


def near(value):
    return pytest.approx(value, rel=0.01)
