"""``facehall annotate``: ``python -m facehall.annotate``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Make landmarks and labels of the parts of the face for pictures of one face each.

  facehall annotate data=folder data.root=DIR output=OUT
  facehall train … data.root=DIR data.annotations=OUT/annotations.json
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "annotate", "make landmarks and parsing maps", _ABOUT)
