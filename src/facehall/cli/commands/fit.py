"""``facehall fit``: ``python -m facehall.fit``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Fit a classical method (A+, ANR or RFL) to images. It takes minutes on a CPU.

  facehall fit system=a_plus data=folder data.root=DIR scale=4
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "fit", "fit a classical method", _ABOUT)
