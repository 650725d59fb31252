"""Measure the largest difference between tiled and whole-picture results for random sizes, with trained weights.

python experiments/inference/tiling.py --weights runs/…/weights/generator_ema.safetensors
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from facehall.cli.experiments import experiment_parser
from facehall.data import SampleSource
from facehall.imaging import read_rgb, to_tensor
from facehall.inference import Predictor
from facehall.inference.tiling.receptive_field import receptive_radius

LONGEST = 104
ODD = [(1, 1), (1, 103), (104, 1), (2, 2), (7, 101), (97, 3)]
"""Sizes that are always included."""


def main() -> None:
    arguments = parse()
    torch.manual_seed(0)
    predictor = Predictor(arguments.weights, device="cpu", backend="eager")
    print(f"receptive radius {receptive_radius(predictor.generator)} LR pixels, overlap {predictor.overlap}")
    rows = []
    with arguments.results.open("w", newline="", buffering=1) as out:
        writer = csv.DictWriter(out, HEADER)
        writer.writeheader()
        for row in measure(predictor, arguments.sizes):
            writer.writerow(row)
            rows.append(row)
    for content in ("photograph", "noise"):
        found = [row for row in rows if row["content"] == content]
        worst = [max(float(row[column]) for row in found) for column in ("levels", "levels_without_overlap")]
        print(f"{len(found)} x {content}: differs by at most {worst[0]:.4f}/255, {worst[1]:.1f}/255 without overlap")


HEADER = ("content", "height", "width", "tile", "levels", "levels_without_overlap")


def measure(predictor: Predictor, sizes: int) -> Iterator[dict]:
    rng = np.random.default_rng(0)
    photographs = [to_tensor(read_rgb(file.hr)) for file in SampleSource().split("train")]
    drawn = [tuple(map(int, rng.integers(1, LONGEST + 1, 2))) for _ in range(sizes - len(ODD))]
    for height, width in ODD + drawn:
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (int(rng.integers(side)) for side in (200, 200))
        part = photograph[:, top : top + height, left : left + width]
        tile = int(rng.integers(8, 49))
        for content, lr in (("photograph", part), ("noise", torch.randint(0, 2, part.shape).float())):
            whole, tiled, without_overlap = (
                upscale(predictor, lr, side, overlap) for side, overlap in ((LONGEST, None), (tile, None), (tile, 0))
            )
            yield {
                "content": content,
                "height": height,
                "width": width,
                "tile": tile,
                "levels": f"{255 * float((tiled - whole).abs().max()):.5f}",
                "levels_without_overlap": f"{255 * float((without_overlap - whole).abs().max()):.2f}",
            }


def upscale(predictor: Predictor, lr: torch.Tensor, tile: int, overlap: int | None) -> torch.Tensor:
    tiler = predictor._tiler
    measured, tiler.tile = predictor.overlap, tile
    tiler.overlap = measured if overlap is None else overlap
    sr = predictor.super_resolve(lr)
    tiler.overlap = measured
    return sr


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("tiling.csv"))
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sizes", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
