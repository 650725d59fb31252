"""Write results.csv: how many patches a second each option degrades, one at a time (as a loader does) and batched.

One thread, batch 8, x4, patches of the sample photographs; both forms get the same recipes in turns, so that a busy
machine hurts both alike; medians. `levels`: mean difference of the two forms in 8-bit levels.

python experiments/degradation/measure.py [--device cuda]
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from time import perf_counter

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

SCALE, BATCH = 4, 8
REPEATS = {96: 31, 512: 11}


def main() -> None:
    torch.set_num_threads(1)
    parser = experiment_parser(__doc__)
    parser.add_argument("--device", default="cpu", help="on which the batches are degraded (cpu)")
    device = torch.device(parser.parse_args().device)
    pictures = [read_rgb(file.hr) for file in SampleSource().split("train")]
    rows = []
    for option in sorted((conf_dir() / "degradation").glob("*.yaml")):
        degradation = build(OmegaConf.load(option), "degradation")
        for side, repeats in REPEATS.items():
            rng = np.random.default_rng(0)
            rounds = [_round(degradation, _patches(pictures, side, rng), rng, device) for _ in range(repeats + 1)]
            single, batched, levels = np.median(rounds[1:], axis=0)  # the first one warms up
            rows.append([option.stem, side, device.type, f"{single:.1f}", f"{batched:.1f}", f"{levels:.2f}"])
            print(*rows[-1])
    table = io.StringIO()
    header = ["option", "hr_side", "batched_on", "single_patches_per_s", "batched_patches_per_s", "levels"]
    csv.writer(table, lineterminator="\n").writerows([header, *rows])
    write_text(Path(__file__).with_name("results.csv"), table.getvalue())


def _patches(pictures: list[np.ndarray], side: int, rng: np.random.Generator) -> Tensor:
    large = [picture for picture in pictures if min(picture.shape[:2]) >= side]
    patches = []
    for _ in range(BATCH):
        picture = large[int(rng.integers(len(large)))]
        top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
        patches.append(to_tensor(picture[top : top + side, left : left + side]))
    return torch.stack(patches)


def _round(
    degradation: Degradation, hr: Tensor, rng: np.random.Generator, device: torch.device
) -> tuple[float, float, float]:
    """Patches a second of both forms, and their difference."""
    recipes = [degradation.draw(rng, SCALE) for _ in hr]
    start = perf_counter()
    single = torch.stack([degradation(patch, SCALE, recipe) for patch, recipe in zip(hr, recipes, strict=True)])
    middle = perf_counter()
    batched = degradation.batch(hr.to(device), SCALE, recipes).cpu()
    end = perf_counter()
    return BATCH / (middle - start), BATCH / (end - middle), float((single - batched).abs().mean() * 255)


if __name__ == "__main__":
    main()
