"""``facehall mine``: ``python -m facehall.mine``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Crop training patches from images and store them as PNG pairs or shards.

  facehall mine data=folder data.root=DIR output=OUT
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "mine", "crop and store training patches", _ABOUT)
