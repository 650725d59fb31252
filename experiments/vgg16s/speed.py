"""Cost of each loss relative to the default generator's step: python experiments/vgg16s/speed.py [--threads 2]

The candidates are interleaved with the generator's own step, so that background load affects all alike. Reports median
ratios of wall-clock time and of CPU time; the latter ignores threading efficiency but is less affected by other
processes. Writes cost.csv next to this file.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from candidates import candidates
from facehall.cli.experiments import experiment_parser
from facehall.config.build import build, conf_dir
from facehall.config.resolvers import register_resolvers
from facehall.io.progress import progress_bar
from facehall.losses import PerceptualLoss, charbonnier
from facehall.metrics.cost import count_gmacs, count_parameters


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """Return the wall-clock and CPU time of a call."""
    wall, cores = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cores


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--weights", help="VGG16s weights (default: the bundled ones)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", overrides=["experiment=esrgan_vgg16s_adam"])

    side, batch = cfg.patches.patch_size, cfg.patches.batch_size
    lr, hr = torch.rand(batch, 3, side, side), torch.rand(batch, 3, cfg.scale * side, cfg.scale * side)
    sr = torch.rand_like(hr).requires_grad_()
    generator = build(cfg.generator, "generator")
    optimizer = build(cfg.optimizer.generator, "optimizer.generator")(generator.parameters())

    def own_step() -> None:
        optimizer.zero_grad()
        charbonnier(generator(lr), hr).backward()
        optimizer.step()

    def added_by(loss: PerceptualLoss) -> Callable[[], None]:
        def loss_step() -> None:  # SR branch forward and backward, HR branch forward
            sr.grad = None
            loss.distance(sr, hr).backward()

        return loss_step

    networks = candidates(options.weights)
    loss_steps = {name: added_by(PerceptualLoss(extractor, layers)) for name, (extractor, layers) in networks.items()}
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in loss_steps}
    with progress_bar("rounds", options.rounds) as advance:
        for turn in range(options.rounds + 1):
            for name, function in loss_steps.items():
                own, added = seconds(own_step), seconds(function)
                if turn:  # the first round is a warm-up
                    ratios[name].append((added[0] / own[0], added[1] / own[1]))
            advance()
    reference = count_gmacs(networks["VGG16, two layers"][0], hr[:1])
    with (Path(__file__).parent / "cost.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["loss", "parameters", "gmacs", "macs_over_vgg16", "wall_over_own_step", "cores_over_own_step"])
        for name, (extractor, _) in networks.items():
            gmacs = count_gmacs(extractor, hr[:1])
            wall, cores = (statistics.median(column) for column in zip(*ratios[name], strict=True))
            sizes = [count_parameters(extractor), f"{gmacs:.4f}", f"{gmacs / reference:.4f}"]
            row = [name, *sizes, f"{wall:.3f}", f"{cores:.3f}"]
            writer.writerow(row)
            print("  ".join(map(str, row)))


if __name__ == "__main__":
    main()
