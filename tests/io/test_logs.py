"""Log levels and destinations."""

import logging

import pytest

from facehall.errors import FacehallError
from facehall.io.logs import LEVEL_VARIABLE, configure, is_quiet, say

LOG = logging.getLogger("facehall.somewhere")


@pytest.fixture(autouse=True)
def no_level_in_the_environment(monkeypatch):
    monkeypatch.delenv(LEVEL_VARIABLE, raising=False)


def log_at_each_level():
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
        monkeypatch.setenv(LEVEL_VARIABLE, level)
    configure(level if by == "argument" else None)
    log_at_each_level()
    printed = capsys.readouterr()
    assert printed.err.splitlines() == errors
    assert printed.out == summary
    assert is_quiet() == (level == "quiet")


def test_the_default_level_shows_messages_once(capsys):
    logging.getLogger().addHandler(handler := logging.StreamHandler())  # as Hydra does
    try:
        configure("debug")
        configure()
        log_at_each_level()
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err.splitlines() == ["facehall: a note", "facehall: a warning"]


def test_an_unknown_level_is_refused(monkeypatch):
    monkeypatch.setenv(LEVEL_VARIABLE, "loud")
    with pytest.raises(FacehallError, match=r"FACEHALL_LOG=loud: unknown level; choose one of quiet, info, debug\."):
        configure()


def test_a_program_that_imports_facehall_keeps_its_logging(caplog):
    with caplog.at_level(logging.INFO):
        log_at_each_level()
    assert [record.message for record in caplog.records] == ["a note", "a warning"]
