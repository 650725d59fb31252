"""Networks, trainings and pictures small enough for tests, and commands run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facehall.imaging import write_picture
from facehall.models.generators import MultiScaleRRDB
from facehall.models.weights import save_generator

TINY_NETWORK = {
    "blocks": 1,
    "dense_blocks": 2,
    "convs": 2,
    "features": 8,
    "growth": 4,
    "stage_features": 8,
    "carry": 2,
}
"""Arguments of MultiScaleRRDB."""

TINY_GENERATOR = ["generator.blocks=1", "generator.convs=2", "generator.growth=4", "generator.features=8"]
TINY_STAGES = ["generator.stage_features=8", "generator.stage_growth=4", "generator.carry=2"]
TINY = [
    *TINY_GENERATOR,
    *TINY_STAGES,
    "discriminator.channels=4",
    "patches.batch_size=2",
    "patches.patch_size=8",
    "trainer=cpu",
    "trainer.enable_progress_bar=false",
    "callbacks.history.interval=null",
]
"""Overrides that shorten a training of experiment=esrgan_vgg16s to a second or two per phase."""
TINY_PSNR = ["experiment=psnr", *(option for option in TINY if not option.startswith("discriminator."))]
"""Such a training without a discriminator."""
LIGHT = ["++losses.perceptual=null", "metrics.lpips=none", "logger=none"]
"""Overrides for trainings without pretrained weights and without W&B."""


def make_photographs(folder: Path, count: int, side: int = 64, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for i in range(count):
        blocks = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        write_picture(_with_parent(folder / f"{i}.png"), blocks.repeat(8, axis=0).repeat(8, axis=1))
    return folder


def _with_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def tiny_generator(scale: int = 2) -> MultiScaleRRDB:
    """A generator with non-zero heads, so that it differs from bicubic and colours grey pictures."""
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
    """Call an entry point's main with command-line arguments; return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["facehall", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return end.code
    return 0


def error_message(stderr: str) -> str:
    """A command's error output without the note that it waited for a test that decodes the same pictures."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if "Waiting for another process" not in line)


class Malicious:
    """An object whose unpickling touches a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.mark,)
