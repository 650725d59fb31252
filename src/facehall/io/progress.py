"""Progress bar for long operations other than training, which uses Lightning's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from facehall.io.logs import is_quiet


class _MegapixelsColumn(ProgressColumn):
    """Megapixels done and per second, for steps that are pixels."""

    def render(self, task: Task) -> Text:
        speed = "" if task.finished_speed is None and task.speed is None else f", {_speed(task):.2f} MPix/s"
        return Text(f"{task.completed / 1e6:.1f} of {(task.total or 0) / 1e6:.1f} MPix{speed}")


def _speed(task: Task) -> float:
    return (task.finished_speed or task.speed or 0.0) / 1e6


class Counted:
    """Passes numbers of steps on to `advance` and adds them up in `done`."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self.done = 0

    def __call__(self, steps: int) -> None:
        self.done += steps
        self._advance(steps)


@contextmanager
def progress_bar(title: str, total: int, pixels: bool = False) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr and remove it at the end; show nothing with --quiet or if stderr is not a terminal.

    It uses its own console, because Lightning replaces rich's global one, and a bar left open there by an error would
    stop another bar.

    Args:
        title: name of the operation.
        total: number of steps.
        pixels: steps are pixels; show megapixels per second.

    Yields:
        A function to call after each step, or with a number of steps.
    """
    console = Console(stderr=True)
    first = (TextColumn("{task.description}", markup=False), BarColumn())
    counts = (_MegapixelsColumn(),) if pixels else (MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    columns = (*first, *counts, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or is_quiet()) as progress:
        task = progress.add_task(title, total=total)
        yield lambda steps=1: progress.advance(task, steps)
