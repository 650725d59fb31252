"""`python -m facehall.assets`."""

from __future__ import annotations

import sys

import pytest

from facehall.assets import __main__ as command
from facehall.assets import resolve as resolve_function
from facehall.errors import FacehallError


def test_missing_weights_are_listed_without_network_access(tiny, publisher, capsys):
    assert command.main([]) == 0
    out = capsys.readouterr().out
    assert "tiny" in out
    assert "python -m facehall.assets fetch" in out
    assert publisher.requests == []


def test_fetches_then_lists(tiny, publisher, machine, capsys):
    assert command.main(["fetch"]) == 0
    assert command.main(["list"]) == 0
    out = capsys.readouterr().out
    assert str(machine / "cache" / "weights" / "tiny.safetensors") in out  # not truncated without a terminal
    assert len(publisher.requests) == 1


def test_failure_is_a_paragraph_and_status_2(tiny, publisher, monkeypatch, capsys):
    def fetch_sdist(folder: object) -> None:
        raise FacehallError("no index")

    publisher.behave = lambda handler, number: not handler.send_error(404)
    monkeypatch.setattr(sys.modules[resolve_function.__module__], "fetch_sdist", fetch_sdist)
    assert command.main(["fetch", "tiny"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "The pretrained tiny weights were not found. Tried (1)" in captured.err
    assert "Traceback" not in captured.err


def test_unknown_name_is_rejected_before_any_download(tiny, publisher, capsys):
    assert command.main(["fetch", "tiny", "tinny"]) == 2
    assert "'tinny'; known names: tiny" in capsys.readouterr().err
    assert publisher.requests == []


def test_invalid_file_is_listed_with_the_reason(tiny, machine, monkeypatch, capsys):
    (machine / "tiny.safetensors").write_bytes(b"broken")
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(machine))
    assert command.main([]) == 0
    assert "not a valid tiny weights file" in capsys.readouterr().out


def test_help_names_the_settings(capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for word in ("fetch", "FACEHALL_WEIGHTS", "FACEHALL_CACHE", "FACEHALL_OFFLINE", "exit status"):
        assert word in out
