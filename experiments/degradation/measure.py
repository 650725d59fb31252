"""Write results.csv: patches per second of each degradation, applied one patch at a time as in the loader.

One thread, x4, patches of the sample photographs, medians over rounds of eight patches.

python experiments/degradation/measure.py
"""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from facehall.cli.experiments import experiment_parser
from facehall.config.build import build, conf_dir
from facehall.data import SampleSource
from facehall.data.degradations import Degradation
from facehall.imaging import read_rgb, to_tensor
from facehall.io.atomic import write_text
from facehall.io.timing import seconds

SCALE, BATCH = 4, 8
REPEATS = {96: 31, 512: 11}


def main() -> None:
    torch.set_num_threads(1)
    experiment_parser(__doc__).parse_args()
    pictures = [read_rgb(file.hr) for file in SampleSource().split("train")]
    rows = []
    for option in sorted((conf_dir() / "degradation").glob("*.yaml")):
        degradation = build(OmegaConf.load(option), "degradation")
        for side, repeats in REPEATS.items():
            rng = np.random.default_rng(0)
            rounds = [_patches_per_second(degradation, _patches(pictures, side, rng), rng) for _ in range(repeats + 1)]
            rows.append([option.stem, side, f"{statistics.median(rounds[1:]):.1f}"])  # the first round is a warm-up
            print(*rows[-1])
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([["option", "hr_side", "patches_per_s"], *rows])
    write_text(Path(__file__).with_name("results.csv"), table.getvalue())


def _patches(pictures: list[np.ndarray], side: int, rng: np.random.Generator) -> list[Tensor]:
    large = [picture for picture in pictures if min(picture.shape[:2]) >= side]
    patches = []
    for _ in range(BATCH):
        picture = large[int(rng.integers(len(large)))]
        top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
        patches.append(to_tensor(picture[top : top + side, left : left + side]))
    return patches


def _patches_per_second(degradation: Degradation, patches: list[Tensor], rng: np.random.Generator) -> float:
    recipes = [degradation.draw(rng, SCALE) for _ in patches]
    took = seconds(lambda: [degradation(hr, SCALE, recipe) for hr, recipe in zip(patches, recipes, strict=True)])
    return len(patches) / took


if __name__ == "__main__":
    main()
