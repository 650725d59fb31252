"""``facehall sweep``: ``python -m facehall.sweep``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Write the table of a sweep that was interrupted or is still running.

  facehall sweep folder=runs/sweeps/NAME/TIME
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "sweep", "rewrite the table of a sweep", _ABOUT)
