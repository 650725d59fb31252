"""Interactive choice among the weights files of earlier runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.prompt import IntPrompt
from rich.table import Table

from facehall.errors import FacehallError
from facehall.models.weights import SUFFIX, read_metadata

MAX_SHOWN = 20
"""Number of files offered, the newest first."""


def find_weights(runs: Path) -> list[Path]:
    """List the weights files in the run folders below `runs`, newest first, without damaged and foreign ones."""
    found = sorted(runs.glob(f"**/weights/*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path for path in found if _usable(path)]


def pick_weights(runs: Path) -> Path:
    """Prompt for one of the weights files below `runs`.

    Raises:
        FacehallError: if there are none, or the session is not interactive; the message then lists them.
    """
    found = find_weights(runs)
    if not found:
        raise FacehallError(
            f"No weights were given, and there are none below {runs}/. Give weights=FILE, or train first: "
            "python -m facehall.train experiment=esrgan_vgg16s."
        )
    more = f"and {len(found) - MAX_SHOWN} older ones" if len(found) > MAX_SHOWN else ""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        listed = "\n".join(f"  weights={path}" for path in found[:MAX_SHOWN])
        end = f"\n  {more}" if more else ""
        raise FacehallError(f"No weights were given. Give one of these, newest first:\n{listed}{end}")
    return _ask(found[:MAX_SHOWN], more)


def _ask(found: list[Path], more: str) -> Path:
    console = Console()
    console.print(table(found))
    if more:
        console.print(more)
    numbers = [str(i + 1) for i in range(len(found))]
    try:
        choice = IntPrompt.ask("Which", console=console, default=1, choices=numbers, show_choices=False)
    except EOFError:  # Ctrl-D
        raise FacehallError("No weights were chosen. Give weights=FILE.") from None
    return found[choice - 1]


def table(found: list[Path]) -> Table:
    """Return a numbered table of weights files and their metadata for the console."""
    rows = Table("", "weights", "generator", "step", "written")
    rows.columns[1].overflow = "fold"
    for number, path in enumerate(found, start=1):
        metadata = read_metadata(path)
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        rows.add_row(str(number), str(path), metadata["target"], metadata.get("step", ""), written)
    return rows


def _usable(path: Path) -> bool:
    try:
        read_metadata(path)
    except FacehallError:
        return False
    return True
