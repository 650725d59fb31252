"""Milliseconds from 64x64 to 256x256 pixels: facehall-x4_fast, facehall-x4, and Real-ESRGAN's small network.

    OMP_NUM_THREADS=2 python experiments/release/fast.py

Whole pictures in memory, one at a time, rounds interleaved; needs the extras openvino and peers. Writes fast.csv.
"""

from __future__ import annotations

import csv
import functools
import statistics
from pathlib import Path

import torch

from facehall.cli.experiments import experiment_parser
from facehall.inference.backends import build
from facehall.io.timing import interleaved
from facehall.models.pretrained import weights_file
from facehall.models.weights import load_generator
from facehall.systems.real_esrgan import RealESRGAN

SIDE = 64
ROUNDS = 60
NETWORKS = (
    ("facehall-x4_fast", "openvino"),
    ("facehall-x4_fast", "onnxruntime"),
    ("facehall-x4_fast", "eager"),
    ("facehall-x4", "openvino"),
)
PEER = "realesr-animevideov3"


def main() -> None:
    options = experiment_parser(__doc__, Path(__file__).with_suffix(".csv")).parse_args()
    torch.set_num_threads(2)
    lr = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    device = torch.device("cpu")
    tasks = {
        key: functools.partial(build(load_generator(weights_file(key[0])).eval(), device, key[1]), lr)
        for key in NETWORKS
    }
    tasks[PEER, "ncnn"] = functools.partial(RealESRGAN(PEER, 4).compute, lr)
    with torch.inference_mode():
        times = interleaved(tasks, ROUNDS, warmup=5)
    with options.results.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("weights", "backend", "median_ms", "least_ms"))
        for key, values in times.items():
            row = (*key, round(1000 * statistics.median(values), 2), round(1000 * min(values), 2))
            writer.writerow(row)
            print("{:24}{:14}{:8} ms (least {})".format(*row))


if __name__ == "__main__":
    main()
