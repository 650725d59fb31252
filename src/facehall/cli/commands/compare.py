"""``facehall compare``: ``python -m facehall.compare``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Compare the systems of the catalogue on test sets: one table with published figures, pictures and plots.

  facehall compare set=set5,set14,faces root=DATA scale=4
  facehall compare set=set5 root=DATA 'files={srcnn: x4.mat, vdsr: VDSR_Official.mat}'
  facehall compare set=set5 root=DATA train=missing train.minutes=60 'train.settings=data=folder data.root=PHOTOS'

Instead of minutes, train.steps=N gives all systems equal steps; train.own_optimizer=true trains each with the loss,
optimizer and rate of its own publication.
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "compare", "compare the systems of the catalogue", _ABOUT)
