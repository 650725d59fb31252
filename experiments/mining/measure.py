"""Patches per second: mining with integral images and the picture store, compared with the loop of ISR.

python experiments/mining/measure.py [--root FOLDER] [--rounds 9]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from facehall.cli.experiments import experiment_parser
from facehall.data import (
    BicubicDegradation,
    DiskStore,
    FolderSource,
    Mining,
    Pairs,
    PatchDataset,
    SampleSource,
    load_pair,
)
from facehall.data.patches.datasets import PatchLoader, PatchSampler
from facehall.data.patches.flatness import MEASURES, Measure, flatness
from facehall.imaging import read_rgb, to_tensor, write_picture
from facehall.io.timing import interleaved, ratio

SCALE, SIZE, BATCH, SEED = 4, 24, 8, 1
REJECTED = (0.5, 0.9, 0.99)


class NaiveMiner:
    """ISR's loop: decode one random picture per batch and try corners one by one with a shared rejection budget."""

    def __init__(self, folder: Path, measure: Measure, threshold: float) -> None:
        self.pictures = sorted((folder / "LR").iterdir())
        self.hr = folder / "HR"
        self.measure, self.threshold = measure, threshold
        self.rng = np.random.default_rng(SEED)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        path = self.pictures[self.rng.integers(len(self.pictures))]
        lr, hr = read_rgb(path), read_rgb(self.hr / path.name)
        budget, low, high = 50 * BATCH, [], []
        while len(low) < BATCH:
            top, left = self.rng.integers(lr.shape[0] - SIZE + 1), self.rng.integers(lr.shape[1] - SIZE + 1)
            patch = lr[top : top + SIZE, left : left + SIZE]
            if budget and flatness(patch, self.measure) < self.threshold:
                budget -= 1
                continue
            low.append(to_tensor(patch))
            high.append(to_tensor(hr[top * SCALE : (top + SIZE) * SCALE, left * SCALE : (left + SIZE) * SCALE]))
        return torch.stack(low), torch.stack(high)


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = FolderSource(arguments.root, 0.0, 0.0) if arguments.root else SampleSource()
        files = source.split("train")
        pairs = Pairs(SCALE, BicubicDegradation(), DiskStore(Path(folder, "store")))
        for i, file in enumerate(files):  # ISR reads LR files, so write them in advance
            lr, hr = load_pair(file, SCALE, BicubicDegradation())
            write_picture(Path(folder, "LR", f"{i:04d}.png"), lr)
            write_picture(Path(folder, "HR", f"{i:04d}.png"), np.ascontiguousarray(hr))
        for measure in MEASURES:
            values = np.concatenate([pairs.index(file, Mining(measure), SIZE)["flatness"] for file in files])
            for share in REJECTED:
                threshold = float(np.quantile(values, share))
                naive = NaiveMiner(Path(folder), measure, threshold)
                ours = loader(files, pairs, Mining(measure, threshold, max_threshold=0.5))
                rows.append(row(measure, share, threshold, naive, ours, arguments.rounds))
                show(rows)
    with arguments.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("results.csv"))
    parser.add_argument("--root", type=Path, help="folder of pictures (default: the sample photographs)")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def loader(files: list, pairs: Pairs, mining: Mining) -> PatchLoader:
    dataset = PatchDataset(files, pairs, SIZE, 10**9, mining, SEED)
    return PatchLoader(dataset, batch_size=BATCH, sampler=PatchSampler(10**9))


def row(measure: str, share: float, threshold: float, naive: NaiveMiner, ours: PatchLoader, rounds: int) -> dict:
    """Interleave 3 batches of the loop with 30 of ours; return medians in patches per second."""
    batches = iter(ours)
    for _ in range(len(ours.dataset.files)):  # visit every picture once to build indices and open memory maps
        next(batches)
    tasks = {"naive": lambda: [naive.batch() for _ in range(3)], "ours": lambda: [next(batches) for _ in range(30)]}
    seconds = interleaved(tasks, rounds, warmup=0)
    return {
        "measure": measure,
        "rejected": share,
        "threshold": round(threshold, 4),
        "naive_patches_per_s": round(3 * BATCH / statistics.median(seconds["naive"]), 1),
        "ours_patches_per_s": round(30 * BATCH / statistics.median(seconds["ours"]), 1),
        "ratio": round(10 * ratio(seconds["naive"], seconds["ours"]), 1),
    }


def show(rows: list[dict]) -> None:
    table = Table(*rows[-1])
    table.add_row(*map(str, rows[-1].values()))
    Console().print(table)


if __name__ == "__main__":
    main()
