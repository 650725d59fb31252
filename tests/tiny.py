"""For tests of the commands: a network of a few hundred parameters, and a command called in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from facehall.models.generators import MultiScaleRRDB
from facehall.models.weights import save_generator


def tiny_generator(scale: int = 2) -> MultiScaleRRDB:
    """With heads that are not zero, so that it is not bicubic in disguise, and that colour what is grey."""
    torch.manual_seed(0)
    generator = MultiScaleRRDB(
        scale, blocks=1, dense_blocks=1, convs=1, features=4, growth=2, stage_features=4, stage_growth=2, carry=2
    )
    for stage in generator.stages:
        torch.nn.init.normal_(stage.head.weight, std=0.1)
        torch.nn.init.constant_(stage.head.bias, 0.02)
    return generator.eval()


def write_weights(path: Path, scale: int = 2) -> Path:
    save_generator(path, tiny_generator(scale), {"step": "7"})
    return path


def run_command(main: Callable[[], None], *arguments: object) -> int:
    """Call an entry point's main with command-line arguments; its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["facehall", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return end.code
    return 0
