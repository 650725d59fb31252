"""The command ``facehall`` as it is called."""

import contextlib
import io

import pytest

from facehall.console import main
from odd_inputs import CASES, run


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(arguments):
    """The exit status and all that was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    return status, printed.getvalue()


@pytest.mark.parametrize("case", [case for case in CASES if case.suite], ids=lambda case: case.name)
def test_odd_inputs(case):
    result = run(case, command)
    assert not result.wrong, result.said
