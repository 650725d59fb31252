"""``facehall check``: ``python -m facehall.check``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Report which pictures of a data set cannot be used, and what would be changed on the way.

  facehall check data=folder data.root=DIR
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "check", "look at the pictures of a data set before a training does", _ABOUT)
