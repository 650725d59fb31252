"""``facehall download``: ``python -m facehall.download``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Download, verify and unpack a data set; existing files are not downloaded again.

  facehall download data=div2k data.root=DIR
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "download", "download a data set", _ABOUT)
