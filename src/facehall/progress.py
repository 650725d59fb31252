"""One progress bar for everything that takes long, outside a training, whose bar is Lightning's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr that is gone at the end; nothing where stderr is no terminal.

    The console is its own: Lightning replaces rich's global one in a running process, and a bar of that which an error
    left open would end another's.

    Args:
        title: what is under way.
        total: how many steps there are.

    Yields:
        A function to call after each step.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    speed = (TaskProgressColumn(show_speed=True), TimeRemainingColumn())
    with Progress(*columns, *speed, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)
