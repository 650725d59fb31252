"""Compare two processes with batch b to one with batch 2b: the difference of the networks after 20 steps.

python experiments/distributed/measure.py [--batch 4]
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from facehall.cli.experiments import experiment_parser

STEPS = 10
COMMON = [
    *("experiment=esrgan_vgg16s", "metrics.lpips=none", "logger=none", "trainer.enable_progress_bar=false"),
    *(f"curriculum.psnr.steps={STEPS}", f"curriculum.gan.steps={STEPS}", "curriculum.gan.ramp=5"),
    *(f"patches.steps_per_epoch={STEPS}", "patches.patch_size=16", "runtime.threads=1"),
]
ONE, TWO = ["trainer=cpu"], ["trainer=ddp_cpu"]
DOUBLE = ["trainer.precision=64-true"]
SINGLE = ["trainer.precision=32-true"]
# Adam divides a gradient by its own size, rounding errors included, unless it is small compared to eps (default 1e-8).
LARGE_EPS = [f"+optimizer.{network}.eps=1.0e-3" for network in ("generator", "discriminator")]
VARIANTS = {
    "float64, Adam": (TWO + DOUBLE, ONE + DOUBLE),
    "float32, Adam with eps=1e-3": (TWO + SINGLE + LARGE_EPS, ONE + SINGLE + LARGE_EPS),
    "float32, Adam": (TWO + SINGLE, ONE + SINGLE),
    "float32, Adam, one process, two threads against one": ([*ONE, *SINGLE, "runtime.threads=2"], ONE + SINGLE),
    "float64, batch norm not synchronised": ([*TWO, "trainer.sync_batchnorm=false", *DOUBLE], ONE + DOUBLE),
}
"""Name -> overrides of a training with twice the processes or threads, and of its reference."""
NETWORKS = ("generator", "discriminator", "ema")


def main() -> None:
    arguments = parse()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plain: dict[tuple[str, ...], dict[str, Tensor]] = {}
        for name, (left, right) in VARIANTS.items():
            size = arguments.batch if "trainer=ddp_cpu" in left else 2 * arguments.batch
            first = train(left, size, Path(folder, "left"))
            if tuple(right) not in plain:
                plain[tuple(right)] = train(right, 2 * arguments.batch, Path(folder, "right"))
            rows += [{"run": name, **row} for row in differences(first, plain[tuple(right)])]
            show(rows)
    with arguments.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("results.csv"))
    parser.add_argument("--batch", type=int, default=2, help="patches for each of the two processes")
    return parser.parse_args()


def train(overrides: list[str], batch: int, folder: Path) -> dict[str, Tensor]:
    """Run the real command; return the parameters in its checkpoint."""
    paths = [f"run_dir={folder}", f"hydra.run.dir={folder}", f"patches.batch_size={batch}"]
    # runtime.threads sets the threads, not the environment
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "facehall.train", *COMMON, *overrides, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {key: value for key, value in state.items() if isinstance(value, Tensor) and not key.endswith(statistics)}


def differences(left: dict[str, Tensor], right: dict[str, Tensor]) -> list[dict]:
    """Return relative differences per network: the largest over the network's largest parameter, and in the Euclidean
    norm, of the whole network and of its worst tensor.
    """
    rows = []
    for network in NETWORKS:
        keys = [key for key in right if key.split(".")[0] == network]
        whole = [torch.cat([state[key].double().flatten() for key in keys]) for state in (left, right)]
        worst = max(keys, key=lambda key: relative(left[key], right[key]))
        rows.append(
            {
                "network": network,
                "largest": f"{float((whole[0] - whole[1]).abs().max() / whole[1].abs().max()):.1e}",
                "whole_network": f"{relative(*whole):.1e}",
                "worst_tensor": f"{relative(left[worst], right[worst]):.1e}",
                "which": worst,
            }
        )
    return rows


def relative(left: Tensor, right: Tensor) -> float:
    """|left - right| / |right|."""
    return float((left.double() - right.double()).norm() / right.double().norm().clamp_min(1e-30))


def show(rows: list[dict]) -> None:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)


if __name__ == "__main__":
    main()
