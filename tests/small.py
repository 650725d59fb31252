"""Trainings and pictures small enough for a test."""

from pathlib import Path

import numpy as np

from facehall.imaging import write_picture

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
]
"""Overrides that make a training of experiment=esrgan_vgg16s a matter of a second or two a phase."""
LIGHT = ["perceptual=none", "metrics.lpips=none", "logger=none"]
"""Without pretrained weights and without W&B."""


def make_photographs(folder: Path, count: int, side: int = 64) -> Path:
    rng = np.random.default_rng(0)
    for i in range(count):
        blocks = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        write_picture(_made(folder / f"{i}.png"), blocks.repeat(8, axis=0).repeat(8, axis=1))
    return folder


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
