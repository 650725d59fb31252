"""The progress bar: independent of rich's global console, and silent without a terminal."""

import rich

from facehall.io.progress import progress_bar


def test_a_bar_leaves_the_global_console_alone(monkeypatch, capsys):
    """A `rich.track` bar left open by an error was once closed by the garbage collector during a training, along with
    Lightning's bar.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich assume a terminal
    with progress_bar("measuring", 2) as advance:
        advance()
        assert rich.get_console()._live_stack == []
    assert "measuring" in capsys.readouterr().err


def test_no_bar_without_a_terminal(capsys):
    with progress_bar("measuring", 1) as advance:
        advance()
    assert capsys.readouterr().err == ""
