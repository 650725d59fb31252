"""Time facehall-x4 beside Real-ESRGAN, 128x128 to 512x512 on idle cores: blind_time.py

Both in one process, in turn, the first round not counted; writes blind_time.csv with the medians. Real-ESRGAN runs by
ncnn, on as many threads as it takes; PyTorch and OpenVINO on --threads.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from facehall.cli.experiments import experiment_parser
from facehall.inference import Predictor
from facehall.systems.real_esrgan import RealESRGAN

SIDE, ROUNDS, PICTURES = 128, 7, 5


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("blind_time.csv"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lr = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    methods: dict[str, Callable[[Tensor], Tensor]] = {
        "realesrgan-x4plus, ncnn": RealESRGAN("realesrgan-x4plus", 4).upscale
    }
    for backend in ("openvino", "openvino_bf16", "eager"):
        methods[f"facehall-x4, {backend}"] = Predictor("facehall-x4", "cpu", backend=backend).super_resolve
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(ROUNDS + 1):
        for name, method in methods.items():
            count = 1 if "ncnn" in name else PICTURES
            started = time.perf_counter()
            for _ in range(count):
                method(lr)
            times[name].append(1000 * (time.perf_counter() - started) / count)
    with options.results.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "threads", "median_ms"])
        for name, values in times.items():
            row = [name, options.threads, f"{statistics.median(values[1:]):.1f}"]
            writer.writerow(row)
            print(*row)


if __name__ == "__main__":
    main()
