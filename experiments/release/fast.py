"""Milliseconds from 64x64 to 256x256 pixels: facehall-x4_fast, facehall-x4, and Real-ESRGAN's small network.

    python experiments/release/fast.py

Whole pictures in memory, one after the other, as of a video. Each backend has a process of its own, as their idle
threads would slow each other down; each round lets all of them enlarge some pictures in turn. Needs the extras
openvino, onnx and peers. Writes fast.csv.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from facehall.cli.experiments import experiment_parser
from facehall.inference.backends import build
from facehall.models.pretrained import weights_file
from facehall.models.weights import load_generator
from facehall.systems.real_esrgan import RealESRGAN

THREADS, SIDE = 2, 64
ROUNDS, PICTURES = 15, 10
PEER = "realesr-animevideov3"
ROWS = (
    ("facehall-x4_fast", "openvino"),
    ("facehall-x4_fast", "onnxruntime"),
    ("facehall-x4_fast", "eager"),
    ("facehall-x4", "openvino"),
    (PEER, "ncnn"),
)


def open_network(name: str, backend: str) -> Callable[[torch.Tensor], torch.Tensor]:
    if name == PEER:
        return RealESRGAN(PEER, 4).compute
    return build(load_generator(weights_file(name)).eval(), torch.device("cpu"), backend)


def work(name: str, backend: str, pipe: Connection) -> None:
    """Enlarge pictures whenever something arrives, and send the milliseconds of each."""
    torch.set_num_threads(THREADS)
    enlarge, lr = open_network(name, backend), torch.rand(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        enlarge(lr)
        pipe.send(None)
        while pipe.recv():
            started = time.perf_counter()
            for _ in range(PICTURES):
                enlarge(lr)
            pipe.send(1000 * (time.perf_counter() - started) / PICTURES)


def main() -> None:
    options = experiment_parser(__doc__, Path(__file__).with_suffix(".csv")).parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)  # of ncnn
    context = multiprocessing.get_context("spawn")
    pipes: dict[tuple[str, str], Connection] = {}
    for row in ROWS:
        pipes[row], theirs = context.Pipe()
        context.Process(target=work, args=(*row, theirs), daemon=True).start()
    for pipe in pipes.values():
        pipe.recv()
    times: dict[tuple[str, str], list[float]] = {row: [] for row in ROWS}
    for _ in range(ROUNDS):
        for row, pipe in pipes.items():
            time.sleep(0.3)  # until the threads of the one before sleep
            pipe.send(True)
            times[row].append(pipe.recv())
    with options.results.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("weights", "backend", "median_ms", "least_ms"))
        for row, values in times.items():
            found = (*row, round(statistics.median(values), 2), round(min(values), 2))
            writer.writerow(found)
            print("{:24}{:14}{:8} ms (least {})".format(*found))


if __name__ == "__main__":
    main()
