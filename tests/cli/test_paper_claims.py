"""The paper's numbers: the table in the README is that of the claims, and verdicts follow from the checks."""

import runpy
from pathlib import Path

import pytest

from facehall.errors import FacehallError

FOLDER = Path(__file__).parents[2] / "experiments" / "paper"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(FOLDER / "claims.py"))


def claim(*checks, **more):
    return {"number": "1", "place": "a", "says": "b", "checks": [{"label": "c", **check} for check in checks], **more}


def test_the_readme_has_the_table_of_the_claims(script):
    table = script["table_of"](script["read_claims"](FOLDER / "claims.yaml"), FOLDER / "results")
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert readme.partition(script["START"])[2].strip() == table


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (claim({"expression": "1 - 202 / 274", "expect": 0.3, "within": 0.02}), "refuted"),
        (claim({"expression": "20 * log10(10)", "expect": 20, "within": 0}), "reproduced"),
        (claim({"measured": 31.0, "expect": 30, "at_least": True}), "reproduced"),
        (claim({"measured": 0.09, "expect": 0.08, "at_most": True}), "refuted"),
        (claim({"published": 5}), "open"),  # nothing decides
        (claim({"published": 5}, verdict="not checkable"), "not checkable"),
        (claim({"result": {"file": "no.json", "set": "a", "system": "b", "measure": "psnr"}, "expect": 1}), "open"),
    ],
)
def test_verdicts(script, given, verdict, tmp_path):
    found = [(check, script["value_of"](check, tmp_path)) for check in given["checks"]]
    assert script["verdict_of"](given, found) == verdict


def test_results_are_rows_of_a_comparison(script, tmp_path):
    (tmp_path / "x4.json").write_text('{"table": [{"set": "set5", "method": "vdsr", "psnr_y": 31.35}]}')
    wanted = {"file": "x4.json", "set": "set5", "system": "vdsr", "measure": "psnr_y"}
    assert script["value_of"]({"result": wanted}, tmp_path) == 31.35
    assert script["value_of"]({"result": {**wanted, "system": "srcnn"}}, tmp_path) is None


def test_mistakes_in_the_claims(script, tmp_path):
    check = {"label": "c", "published": 5, "expect": 6, "within": 0}
    with pytest.raises(FacehallError, match="1: reproduced, but a check disagrees"):
        script["verdict_of"](claim(verdict="reproduced"), [(check, 5.0)])
    with pytest.raises(FacehallError, match=r"only numbers, \+ - \* / and log10"):
        script["evaluate"]("__import__('os')")
    for text, message in (
        ("- {number: 1, place: a, says: b, checks: [], colour: red}", "unknown or missing key colour"),
        ("- {number: 1, place: a, says: b, checks: [], verdict: true}", "the verdict must be one of"),
        ("- {number: 1, place: a, says: b, checks: [{label: c}]}", "a check needs a label and one of"),
    ):
        (tmp_path / "claims.yaml").write_text(text)
        with pytest.raises(FacehallError, match=message):
            script["read_claims"](tmp_path / "claims.yaml")
