"""``facehall train``: ``python -m facehall.train``."""

from __future__ import annotations

from facehall.cli.hydra_command import add_hydra_command
from facehall.cli.parser import Commands

_ABOUT = """\
Train a face super-resolution network; results are written to runs/NAME/TIME.

  facehall train experiment=esrgan_vgg16s
  facehall train experiment=psnr data=folder data.root=DIR scale=4
  facehall train resume=last                            resume the newest run
  facehall train -m experiment=psnr seed=1,2,3          a sweep; writes a table of all jobs
"""


def add(commands: Commands) -> None:
    """Add the command's parser."""
    add_hydra_command(commands, "train", "train a network", _ABOUT)
