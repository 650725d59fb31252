"""``facehall sweep``: ``python -m facehall.sweep``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Write the table of a sweep that was cut off, or still runs.

  facehall sweep folder=runs/sweeps/NAME/TIME
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "sweep", "write the table of a sweep again", _ABOUT)
