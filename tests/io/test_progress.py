"""The progress bar: apart from rich's global console, and silent in a log."""

import rich

from facehall.io.progress import progress_bar


def test_a_bar_leaves_the_global_console_alone(monkeypatch, capsys):
    """One of rich's `track` that an error had left open was once ended by the garbage collector in the middle of a
    training, and took Lightning's bar along.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    with progress_bar("measuring", 2) as advance:
        advance()
        assert rich.get_console()._live_stack == []
    assert "measuring" in capsys.readouterr().err


def test_a_log_gets_nothing(capsys):
    with progress_bar("measuring", 1) as advance:
        advance()
    assert capsys.readouterr().err == ""
