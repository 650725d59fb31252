"""``facehall predict``: ``python -m facehall.predict``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Upscale images. `facehall upscale` does the same with options instead of KEY=VALUE.

  facehall predict weights=FILE input=FILE_OR_DIR output=DIR
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "predict", "upscale images, with settings as KEY=VALUE", _ABOUT)
