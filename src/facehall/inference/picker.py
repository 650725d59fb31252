"""Which weights? The files that earlier runs left, to choose from on a terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.prompt import IntPrompt
from rich.table import Table

from facehall.errors import FacehallError
from facehall.models.weights import SUFFIX, read_metadata


def find_weights(runs: Path) -> list[Path]:
    """The weights files in the run folders below `runs`, newest first."""
    return sorted(runs.glob(f"**/weights/*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)


def pick_weights(runs: Path) -> Path:
    """Ask for one of the weights files below `runs`.

    Raises:
        FacehallError: there are none, or nobody sits at the terminal to choose; the paragraph lists them.
    """
    found = find_weights(runs)
    if not found:
        raise FacehallError(
            f"No weights were given and there are none below {runs}/. Give weights=FILE, or train first: "
            "python -m facehall.train experiment=esrgan_vgg16s."
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        listed = "\n".join(f"  weights={path}" for path in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        raise FacehallError(f"No weights were given. Give one of these, newest first:\n{listed}{more}")
    console = Console()
    console.print(_table(found))
    choice = IntPrompt.ask(
        "Which", console=console, default=1, choices=[str(i + 1) for i in range(len(found))], show_choices=False
    )
    return found[choice - 1]


def _table(found: list[Path]) -> Table:
    table = Table("", "weights", "generator", "step", "written")
    for number, path in enumerate(found, start=1):
        metadata = read_metadata(path)
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        table.add_row(str(number), str(path), metadata["target"], metadata.get("step", ""), written)
    return table
