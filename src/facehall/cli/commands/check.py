"""``facehall check``: ``python -m facehall.check``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Report which images of a data set are unusable, and which would be converted on loading.

  facehall check data=folder data.root=DIR
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "check", "check the images of a data set before training", _ABOUT)
