"""Measure a training step of EDSR's body with adder layers against the same body with convolutions.

python experiments/adder/step.py [--rounds 15] [--blocks 8] [--features 32] [--batch 8] [--side 24] [--threads 1,2]

A step is forward, L1, backward and Adam in float32. The body and the whole network at x4 are timed, each with the
compiled kernel, with plain torch and with convolutions, interleaved. Reported are medians of the ratios to the
convolutions in the same round. Writes step.csv beside this file.
"""

from __future__ import annotations

import csv
import statistics
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


def tasks(blocks: int, features: int, batch: int, side: int) -> dict[tuple[str, str], Callable[[], object]]:
    lr, hr = torch.rand(batch, 3, side, side), torch.rand(batch, 3, 4 * side, 4 * side)
    maps = torch.rand(batch, features, side, side)
    found = {}
    for layers in LAYERS:
        whole = network(layers, blocks, features)
        found["body", layers] = step(whole.blocks, maps.clone().requires_grad_(), maps)
        found["network", layers] = step(whole, lr, hr)
    return found


def measure(threads: int, rounds: int, **sizes: int) -> list[dict]:
    torch.set_num_threads(threads)
    with progress_bar(f"rounds on {threads} threads", rounds + 1) as advance:
        times = timing.interleaved(tasks(**sizes), rounds, advance=advance)
    return [
        {
            "threads": threads,
            "part": part,
            "layers": layers,
            "milliseconds": round(1000 * statistics.median(taken), 1),
            "ratio": round(timing.ratio(taken, times[part, "convolutions"]), 2),
        }
        for (part, layers), taken in sorted(times.items())
    ]


def main() -> None:
    parser = experiment_parser(__doc__, results=HERE / "step.csv")
    for name, value in (("rounds", 15), ("blocks", 8), ("features", 32), ("batch", 8), ("side", 24)):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"({value})")
    parser.add_argument("--threads", default="1,2", metavar="N,…", help="(1,2)")
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("blocks", "features", "batch", "side")}
    table = [row for n in options.threads.split(",") for row in measure(int(n), options.rounds, **sizes)]
    with options.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    for row in table:
        print(*row.values(), sep="\t")


if __name__ == "__main__":
    main()
