"""Measure speed and accuracy of each backend relative to eager torch: see README.md.

python experiments/inference/backends.py --weights FILE [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from facehall.cli.experiments import experiment_parser
from facehall.data import SampleSource
from facehall.errors import FacehallError
from facehall.imaging import crop_to_multiple, downscale_bicubic, list_images, quantize, read_rgb, to_tensor
from facehall.inference.backends import build
from facehall.inference.backends.choice import parity
from facehall.io.timing import interleaved, ratio
from facehall.models.weights import load_generator

BACKENDS = ("eager", "channels_last", "bf16", "compiled", "onnxruntime", "openvino", "openvino_bf16")
SIZES = {128: 7, 512: 3}
"""Input side -> rounds."""


@torch.inference_mode()
def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    generator = load_generator(arguments.weights)
    backends, build_seconds = {}, {}
    for name in arguments.backends:
        started = time.perf_counter()
        try:
            backends[name] = build(generator, torch.device("cpu"), name)
        except FacehallError as error:
            Console().print(f"skipped: {error}")
            continue
        build_seconds[name] = time.perf_counter() - started
    accuracy = measure_accuracy(backends, arguments.pictures, generator.scale)
    rows = []
    for side, rounds in SIZES.items():
        rows += measure_speed(backends, side, rounds, build_seconds, accuracy)
    with arguments.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=160).print(table)
    plot(rows, arguments.results.with_suffix(".png"))


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("backends.csv"))
    parser.add_argument("--weights", type=Path, required=True, help="weights of the default x4 generator")
    parser.add_argument("--pictures", type=Path, help="HR pictures to measure the loss of PSNR on (default: samples)")
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def measure_accuracy(
    backends: dict, folder: Path | None, scale: int, count: int = 8, side: int = 512
) -> dict[str, dict]:
    """Measure largest difference and PSNR to eager torch, and loss of PSNR against HR, on centre crops."""
    if folder:
        files = [read_rgb(path) for path in list_images(folder)[:count]]
    else:
        files = [read_rgb(file) for which in ("val", "test") for file in SampleSource().split(which)]
    found: dict[str, list] = {name: [] for name in backends}
    for file in files:
        hr = crop_to_multiple(to_tensor(file), scale)
        top, left = ((length - min(length, side)) // 2 for length in hr.shape[-2:])
        hr = crop_to_multiple(hr[:, top : top + side, left : left + side], scale)
        lr = quantize(downscale_bicubic(hr, scale))[None]
        reference = backends["eager"](lr)
        base = parity(quantize(reference[0]), hr)[1]
        for name, backend in backends.items():
            sr = backend(lr)
            levels = 255 * (quantize(sr) - quantize(reference)).abs().max()
            found[name].append((levels, *parity(sr, reference)[1:], base - parity(quantize(sr[0]), hr)[1]))
    return {
        name: {
            "max_levels_8bit": round(float(max(value[0] for value in values))),
            "min_psnr_to_eager": round(min(value[1] for value in values), 1),
            "mean_psnr_lost": round(statistics.mean(value[2] for value in values), 4),
            "max_psnr_lost": round(max(value[2] for value in values), 4),
        }
        for name, values in found.items()
    }


def measure_speed(
    backends: dict, side: int, rounds: int, build_seconds: dict[str, float], accuracy: dict[str, dict]
) -> list[dict]:
    """Time the backends interleaved; the ratio is the median of the rounds' ratios."""
    lr = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    seconds = interleaved({name: partial(backend, lr) for name, backend in backends.items()}, rounds)
    return [
        {
            "input": side,
            "backend": name,
            "seconds": round(statistics.median(times), 3),
            "ratio": round(ratio(seconds["eager"], times), 2),
            "build_s": round(build_seconds[name], 1),
            **accuracy[name],
        }
        for name, times in seconds.items()
    ]


def plot(rows: list[dict], path: Path) -> None:
    sides = list(dict.fromkeys(row["input"] for row in rows))
    figure, axes = plt.subplots(1, len(sides), figsize=(9, 2.8), sharey=True, layout="constrained")
    for axis, side in zip(axes, sides, strict=True):
        shown = [row for row in rows if row["input"] == side][::-1]
        bars = axis.barh([row["backend"] for row in shown], [row["ratio"] for row in shown], color="#4c78a8")
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.axvline(2, color="0.6", linewidth=1, linestyle=":")
        axis.set(title=f"{side}x{side} to {4 * side}x{4 * side}", xlabel="times as fast as eager float32")
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
