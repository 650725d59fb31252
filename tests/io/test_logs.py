"""Where messages go and how many of them."""

import logging

import pytest

from facehall.errors import FacehallError
from facehall.io.logs import ENVIRONMENT, configure, is_quiet, say

LOG = logging.getLogger("facehall.somewhere")


@pytest.fixture(autouse=True)
def no_level_from_outside(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def speak():
    LOG.debug("details")
    LOG.info("a note")
    LOG.warning("a warning")
    say("a summary")


@pytest.mark.parametrize(
    ("level", "errors", "summary"),
    [
        ("quiet", ["facehall: a warning"], ""),
        ("info", ["facehall: a note", "facehall: a warning"], "a summary\n"),
        ("debug", ["[somewhere] facehall: details", "facehall: a note", "facehall: a warning"], "a summary\n"),
    ],
)
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_levels(capsys, monkeypatch, level, errors, summary, by):
    if by == "environment":
        monkeypatch.setenv(ENVIRONMENT, level)
    configure(level if by == "argument" else None)
    speak()
    told = capsys.readouterr()
    assert told.err.splitlines() == errors
    assert told.out == summary
    assert is_quiet() == (level == "quiet")


def test_without_a_level_notes_are_shown_once(capsys):
    logging.getLogger().addHandler(handler := logging.StreamHandler())  # as Hydra does
    try:
        configure("debug")
        configure()
        speak()
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err.splitlines() == ["facehall: a note", "facehall: a warning"]


def test_an_unknown_level_is_refused(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "loud")
    with pytest.raises(FacehallError, match=r"FACEHALL_LOG=loud: give quiet, info, debug\."):
        configure()


def test_a_program_that_imports_facehall_still_hears_warnings(caplog):
    with caplog.at_level(logging.INFO):
        speak()
    assert [record.message for record in caplog.records] == ["a note", "a warning"]
