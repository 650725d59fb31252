"""Where the time of a PSNR step goes, operator by operator, and its share of the convolution peak.

python experiments/speed/profile_step.py [--steps 10] [key=value …]

Trains with the settings of recipe psnr_32x4 of step.py on one thread, profiles some steps with torch's profiler, and
groups the operators' own times. Floating-point operations are counted (one multiply-add is two) and compared with the
rate of the same machine's convolutions, forward and backward, in the shapes of the network, with nothing in between,
and of a large matrix product. Times of whole steps and of single convolutions are CPU times of the one thread, which
other load on the machine hardly changes. Writes profile.csv and peak.csv.
"""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from facehall.cli.experiments import add_overrides, experiment_parser
from facehall.config.assembly import assemble
from facehall.config.build import conf_dir
from facehall.config.resolvers import register_resolvers
from facehall.training.quiet import quieten
from step import COMMON, RECIPES

HERE = Path(__file__).parent
WARMUP = 3
GROUPS = {
    "convolutions, backward": ("convolution_backward", "mkldnn_convolution_backward", "_slow_conv2d_backward"),
    "convolutions, forward": ("mkldnn_convolution", "convolution", "_convolution", "conv2d", "_slow_conv2d_forward"),
    "concatenation": ("cat",),
    "additions": ("add", "add_", "sum", "_foreach_add_"),
    "activations": ("leaky_relu", "leaky_relu_", "leaky_relu_backward"),
    "copies and layout": (
        "copy_",
        "clone",
        "contiguous",
        "to_mkldnn",
        "fill_",
        "zero_",
        "pixel_shuffle",
        "pixel_unshuffle",
    ),
    "interpolation": ("_upsample_bicubic2d_aa", "upsample_nearest2d", "upsample_nearest2d_backward", "index_select"),
    "loss": ("sqrt", "sqrt_", "square", "pow", "mean", "sub", "div", "mul", "rsub"),
    "optimizer": ("_fused_adam_",),
    "average": ("_foreach_lerp_",),
    "gradient norm, clipping": ("_foreach_norm", "linalg_vector_norm", "_foreach_mul_", "clamp"),
}
LAYERS = [
    (32, 16, 32),
    (80, 16, 32),
    (96, 32, 32),
    (32, 128, 32),
    (32, 16, 64),
    (64, 16, 64),
    (32, 16, 128),
    (64, 16, 128),
]
"""Channels in, channels out and side of the network's 3x3 convolutions, the trunk's first."""
BATCH = 4


class Profile(L.Callback):
    """Profile steps after the warm-up, from the end of one batch to the end of another."""

    def __init__(self, steps: int) -> None:
        self.steps, self.profiler = steps, profile(activities=[ProfilerActivity.CPU])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch_idx + 1 == WARMUP:
            self.profiler.__enter__()
            self.started, self.cpu = time.perf_counter(), time.thread_time()
        elif batch_idx + 1 == WARMUP + self.steps:
            self.seconds = (time.perf_counter() - self.started) / self.steps
            self.cpu = (time.thread_time() - self.cpu) / self.steps
            self.profiler.__exit__(None, None, None)


def profiled(steps: int, overrides: list[str]) -> tuple[Profile, float]:
    """Return the profile, and the floating-point operations of a step in GFLOP."""
    with tempfile.TemporaryDirectory() as folder:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            settings = [
                *COMMON,
                *RECIPES["psnr_32x4"],
                "runtime.threads=1",
                f"patches.steps_per_epoch={WARMUP + steps}",
            ]
            settings.append("trainer.max_epochs=1")
            settings += [f"run_dir={folder}", *overrides]
            training = assemble(compose("train", overrides=settings))
        training.trainer.limit_val_batches = 0
        result = Profile(steps)
        training.trainer.callbacks.append(result)
        training.trainer.fit(training.module, training.datamodule)
        module = training.module
        lr = torch.rand(BATCH, 3, 32, 32).to(memory_format=module.memory_format)
        with FlopCounterMode(display=False) as counter:
            torch.stack([image.mean() for image in module.generator.pyramid(lr).values()]).sum().backward()
        return result, counter.get_total_flops() / 1e9


def shares(result: Profile) -> list[dict]:
    """Return the share of each group of operators in a step."""
    names = {f"aten::{name}": group for group, members in GROUPS.items() for name in members}
    totals: dict[str, float] = defaultdict(float)
    for event in result.profiler.key_averages():
        totals[names.get(event.key, "other operators")] += event.self_cpu_time_total / 1000 / result.steps
    whole = 1000 * result.seconds  # by the wall clock, as the operators' own times
    totals["Python, data, logging, Lightning"] = whole - sum(totals.values())
    rows = sorted(totals.items(), key=lambda item: -item[1])
    return [{"part": part, "share": round(ms / whole, 4)} for part, ms in rows]


def peak(rounds: int) -> list[dict]:
    """Return the GFLOP/s of single convolutions, pass by pass, and of a matrix product; on one thread."""
    torch.set_num_threads(1)
    tasks, flops = {}, {}
    for layout, memory_format in {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}.items():
        for channels, out, side in LAYERS:
            shapes = (BATCH, channels, side, side), (out, channels, 3, 3), (BATCH, out, side, side)
            x, weight, gradient = (torch.rand(shape).to(memory_format=memory_format) for shape in shapes)
            key = (f"conv {channels}-{out}, {side}x{side}", layout)
            tasks[(*key, "forward")] = partial(torch.conv2d, x, weight, padding=1)
            for name, mask in (("data gradient", (True, False, False)), ("weight gradient", (False, True, False))):
                options = ([out], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)
                tasks[(*key, name)] = partial(torch.ops.aten.convolution_backward, gradient, x, weight, *options)
            flops |= {task: 2 * BATCH * side**2 * channels * out * 9 for task in tasks if task[:2] == key}
    matrix = torch.rand(1024, 1024)
    product = ("matrix product, 1024", "contiguous", "forward")
    tasks[product], flops[product] = partial(torch.mm, matrix, matrix), 2 * 1024**3
    seconds: dict[tuple[str, str, str], list[float]] = {key: [] for key in tasks}
    for turn in range(rounds + 2):
        for key, task in tasks.items():
            started = time.thread_time()
            task()
            if turn >= 2:  # the first rounds are a warm-up
                seconds[key].append(time.thread_time() - started)
    return [
        dict(zip(("what", "layout", "pass"), key, strict=True))
        | {"gflops": round(flops[key] / statistics.median(times) / 1e9, 1)}
        for key, times in seconds.items()
    ]


def write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(*row.values(), sep="\t")


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--steps", type=int, default=10)
    add_overrides(parser)
    options = parser.parse_args()
    register_resolvers()
    quieten()
    write(HERE / "peak.csv", peak(rounds=7))
    result, gflop = profiled(options.steps, options.overrides)
    write(HERE / "profile.csv", shares(result))
    print(f"{gflop:.1f} GFLOP in {result.cpu:.3f} s of a profiled step: {gflop / result.cpu:.1f} GFLOP/s")
    print(result.profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


if __name__ == "__main__":
    main()
