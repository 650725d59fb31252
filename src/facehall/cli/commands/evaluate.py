"""``facehall evaluate``: ``python -m facehall.evaluate``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Evaluate weights with the evaluation protocol and compare them with bicubic interpolation.

  facehall evaluate weights=FILE data=images data.root=DIR
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "evaluate", "evaluate weights and compare them with bicubic", _ABOUT)
