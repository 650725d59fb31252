"""Time the passes of a PSNR step, forward and backward, as they are and with torch.compile; one thread.

python experiments/speed/compiled.py [--rounds 7]

Variants take turns of one step; reported are medians and the median of the ratios to eager in the same round.
"""

from __future__ import annotations

import csv
import statistics
import time
from pathlib import Path

import torch

from facehall.cli.experiments import experiment_parser
from facehall.losses.pixel import PyramidPixelLoss
from facehall.models.generators import MultiScaleResNet

MODES = {"eager": None, "compiled": "default", "max-autotune": "max-autotune"}


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_suffix(".csv"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = MultiScaleResNet(scale=4).to(memory_format=torch.channels_last)
    loss = PyramidPixelLoss(kind="charbonnier", coarse_weight=0.5)
    batch = {"lr": torch.rand(4, 3, 32, 32), "hr": torch.rand(4, 3, 128, 128)}
    batch = {name: images.to(memory_format=torch.channels_last) for name, images in batch.items()}

    def passes(lr: torch.Tensor) -> torch.Tensor:
        return loss(network.outputs(lr), batch)

    steps = {name: passes if mode is None else torch.compile(passes, mode=mode) for name, mode in MODES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    first: dict[str, float] = {}
    for turn in range(options.rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step(batch["lr"]).backward()
            took = time.perf_counter() - started
            network.zero_grad()
            if turn:
                seconds[name].append(took)
            else:
                first[name] = took
    rows = []
    for name, times in seconds.items():
        ratios = [eager / own for eager, own in zip(seconds["eager"], times, strict=True)]
        row = {"variant": name, "first_seconds": round(first[name], 1)}
        row |= {
            "milliseconds": round(1000 * statistics.median(times), 1),
            "speed_up": round(statistics.median(ratios), 3),
        }
        rows.append(row)
        print(*row.values())
    with options.results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
