"""Measure a training step of EDSR's body with adder layers against the same body with convolutions.

python experiments/adder/step.py [--rounds 15] [--blocks 8] [--features 32] [--batch 8] [--side 24] [--threads 2]

A step is forward, L1, backward and Adam in float32. The body and the whole network at x4 are timed, each with the
compiled kernel, with plain torch and with convolutions, interleaved. Reported are medians of the ratios to the
convolutions in the same round, of wall clock and of the time of all cores (CPU), which other programs disturb less if
GOMP_SPINCOUNT=0. Writes step_THREADS.csv beside this file.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facehall.cli.experiments import experiment_parser
from facehall.io import timing
from facehall.io.progress import progress_bar
from facehall.models.generators import AdderEDSR
from facehall.models.layers.blocks import conv3

HERE = Path(__file__).parent
LAYERS = ("convolutions", "native", "torch")


class ConvBlock(nn.Module):
    """EDSR's own residual block."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv3(features, features), nn.ReLU(inplace=True), conv3(features, features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def network(layers: str, blocks: int, features: int) -> AdderEDSR:
    """AdderEDSR at x4, or its twin with convolutions."""
    torch.manual_seed(0)
    if layers != "convolutions":
        return AdderEDSR(4, blocks, features, execution=layers)
    twin = AdderEDSR(4, 0, features)
    twin.blocks = nn.Sequential(*(ConvBlock(features) for _ in range(blocks)))
    return twin


def step(net: nn.Module, x: Tensor, target: Tensor) -> Callable[[], object]:
    """A training step. The body's input needs a gradient, as it does behind the head."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        F.l1_loss(net(x), target).backward()
        optimizer.step()

    return run


def tasks(
    kinds: list[str], blocks: int, features: int, batch: int, side: int
) -> dict[tuple[str, str], Callable[[], object]]:
    lr, hr = torch.rand(batch, 3, side, side), torch.rand(batch, 3, 4 * side, 4 * side)
    maps = torch.rand(batch, features, side, side)
    found = {}
    for layers in kinds:
        whole = network(layers, blocks, features)
        found["body", layers] = step(whole.blocks, maps.clone().requires_grad_(), maps)
        found["network", layers] = step(whole, lr, hr)
    return found


def measure(threads: int, rounds: int, kinds: list[str], **sizes: int) -> list[dict]:
    torch.set_num_threads(threads)
    cpu: dict[tuple[str, str], list[float]] = {}

    def counted(key: tuple[str, str], task: Callable[[], object]) -> Callable[[], object]:
        cpu[key] = []

        def run() -> None:
            started = time.process_time()
            task()
            cpu[key].append(time.process_time() - started)

        return run

    counting = {key: counted(key, task) for key, task in tasks(kinds, **sizes).items()}
    with progress_bar(f"rounds on {threads} threads", rounds + 1) as advance:
        times = timing.interleaved(counting, rounds, advance=advance)
    return [
        {
            "threads": threads,
            "part": part,
            "layers": layers,
            "milliseconds": round(1000 * statistics.median(taken), 1),
            "ratio": round(timing.ratio(taken, times[part, "convolutions"]), 2),
            "cpu_milliseconds": round(1000 * statistics.median(cpu[part, layers][1:]), 1),
            "cpu_ratio": round(timing.ratio(cpu[part, layers][1:], cpu[part, "convolutions"][1:]), 2),
        }
        for (part, layers), taken in sorted(times.items())
    ]


def main() -> None:
    parser = experiment_parser(__doc__)
    for name, value in (("rounds", 15), ("blocks", 8), ("features", 32), ("batch", 8), ("side", 24), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"({value})")
    parser.add_argument("--layers", default=",".join(LAYERS), metavar="NAME,…", help="(all)")
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("blocks", "features", "batch", "side")}
    table = measure(options.threads, options.rounds, options.layers.split(","), **sizes)
    with (HERE / f"step_{options.threads}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    for row in table:
        print(*row.values(), sep="\t")


if __name__ == "__main__":
    main()
