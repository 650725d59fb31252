"""One progress bar for everything that takes long, outside a training, whose bar is Lightning's."""

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
    """Of steps that are pixels: how many are done and how many a second."""

    def render(self, task: Task) -> Text:
        speed = "" if task.finished_speed is None and task.speed is None else f", {_speed(task):.2f} MPix/s"
        return Text(f"{task.completed / 1e6:.1f} of {(task.total or 0) / 1e6:.1f} MPix{speed}")


def _speed(task: Task) -> float:
    return (task.finished_speed or task.speed or 0.0) / 1e6


@contextmanager
def progress_bar(title: str, total: int, pixels: bool = False) -> Iterator[Callable[..., None]]:
    """A bar on stderr that is gone at the end; nothing where stderr is no terminal, or with --quiet.

    The console is its own: Lightning replaces rich's global one in a running process, and a bar of that which an error
    left open would end another's.

    Args:
        title: what is under way.
        total: how many steps there are.
        pixels: steps are pixels, and the bar shows megapixels a second.

    Yields:
        A function to call after each step, or with the number of steps.
    """
    console = Console(stderr=True)
    first = (TextColumn("{task.description}", markup=False), BarColumn())
    counts = (_MegapixelsColumn(),) if pixels else (MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
    columns = (*first, *counts, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or is_quiet()) as progress:
        task = progress.add_task(title, total=total)
        yield lambda steps=1: progress.advance(task, steps)
