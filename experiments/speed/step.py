"""Measure whole training steps with one thread, with freed memory returned, two intra-op threads and two data threads.

python experiments/speed/step.py [--recipes psnr_32x4 …] [--rounds 7] [--steps 5] [key=value …]

Each variant trains in its own process, so that none inherits the threads of another. They take turns of a few steps; a
step is everything from the end of one batch to the end of the next: data, passes, updates, average, logging and
callbacks. Reported are medians over the rounds, and the median of the ratios to one thread in the same round. Rows of
the measured recipes are replaced in the results file, the others are kept.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import lightning as L
from hydra import compose, initialize_config_dir

from facehall.cli.experiments import add_overrides, experiment_parser
from facehall.config.assembly import assemble
from facehall.config.build import conf_dir
from facehall.config.resolvers import register_resolvers
from facehall.io.progress import progress_bar
from facehall.io.timing import ratio
from facehall.training.quiet import quieten

HERE = Path(__file__).parent
COMMON = ["logger=none", "trainer=cpu", "trainer.enable_progress_bar=false", "runtime.compile=false", "training.clip=1"]
COMMON += ["trainer.precision=32-true", "patches.steps_per_epoch=100000", "metrics.lpips=none"]
PSNR = ["discriminator=none", "losses=[charbonnier]", "curriculum=psnr", "curriculum.psnr.steps=100000"]
GAN = ["curriculum.psnr.steps=0", "curriculum.gan.steps=100000"]
RECIPES = {
    "psnr_32x4": [*PSNR, "patches.patch_size=32", "patches.batch_size=4"],  # the step of release_x4_psnr
    "resnet_32x4": [
        *PSNR,
        "generator=multi_scale_resnet",
        "optimizer=muon",
        "patches.patch_size=32",
        "patches.batch_size=4",
    ],
    "psnr_24x8": [*PSNR, "patches.patch_size=24", "patches.batch_size=8"],
    "gan_32x4": [*GAN, "discriminator=unet_small", "patches.patch_size=32", "patches.batch_size=4"],
    "gan_24x8": [*GAN, "patches.patch_size=24", "patches.batch_size=8"],
}
"""Settings of train.yaml: the default generator at x4 on the sample photographs; patch side x batch size."""

ONE = "one thread"
VARIANTS = {
    ONE: ["runtime.threads=1"],
    "one thread, freed memory returned": ["runtime.threads=1", "runtime.keep_memory=false"],
    "two intra-op threads": ["runtime.threads=2"],
    "two data threads": ["runtime.threads=2", "runtime.data_threads=2"],
}


class Rounds(L.Callback):
    """Run a number of steps whenever asked through the pipe, and send the seconds they took."""

    def __init__(self, pipe: Connection, steps: int) -> None:
        self.pipe, self.steps, self.left = pipe, steps, 1

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.left -= 1
        if self.left:
            return
        if batch_idx:
            self.pipe.send(time.perf_counter() - self.started)
        if not self.pipe.recv():
            raise SystemExit
        self.left, self.started = self.steps, time.perf_counter()


def serve(overrides: list[str], steps: int, pipe: Connection) -> None:
    """Train in a separate process until the pipe says stop."""
    register_resolvers()
    quieten()
    with tempfile.TemporaryDirectory() as folder:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose("train", overrides=[*COMMON, *overrides, f"run_dir={folder}"])
        training = assemble(cfg)
        training.trainer.callbacks.append(Rounds(pipe, steps))
        training.trainer.limit_val_batches = 0
        training.trainer.fit(training.module, training.datamodule)


def measure(recipe: str, overrides: list[str], rounds: int, steps: int) -> list[dict]:
    os.environ.pop("OMP_NUM_THREADS", None)
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for variant, threads in VARIANTS.items():
        pipes[variant], there = context.Pipe()
        options = [*RECIPES[recipe], *threads, *overrides]
        processes.append(context.Process(target=serve, args=(options, steps, there), daemon=True))
        processes[-1].start()
        there.close()  # so that the end of the process is noticed
    seconds: dict[str, list[float]] = {variant: [] for variant in pipes}
    with progress_bar(recipe, rounds + 1) as advance:
        for turn in range(rounds + 1):
            for variant, pipe in pipes.items():
                pipe.send(True)
                took = pipe.recv() / steps
                if turn:  # the first round is a warm-up
                    seconds[variant].append(took)
            advance()
    for process, pipe in zip(processes, pipes.values(), strict=True):
        pipe.send(False)
        process.join()
    batch = int(recipe.rpartition("x")[2])
    return [
        {
            "recipe": recipe,
            "variant": variant,
            "milliseconds": round(1000 * statistics.median(times), 1),
            "patches_per_second": round(batch / statistics.median(times), 2),
            "speed_up": round(ratio(seconds[ONE], times), 3),
            "rounds": rounds,
        }
        for variant, times in seconds.items()
    ]


def main() -> None:
    parser = experiment_parser(__doc__, HERE / "step.csv")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="per round")
    add_overrides(parser)
    options = parser.parse_args()
    rows: list[dict] = []
    if options.results.is_file():
        with options.results.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["recipe"] not in options.recipes]
    for recipe in options.recipes:
        measured = measure(recipe, options.overrides, options.rounds, options.steps)
        rows += measured
        for row in measured:
            print("{recipe:10} {variant:34} {milliseconds:8} ms {patches_per_second:8} /s {speed_up:6}".format(**row))
        with options.results.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(measured[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
