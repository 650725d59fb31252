"""Measure the wall time of an RRDB trunk with parallel dense blocks, in every execution mode.

python experiments/threads/measure.py [--rounds 7] [--batch 4] [--side 24]

Each configuration runs in its own process, so that none inherits the threads of another; they take turns, with a
training step (forward, L1, backward, Adam) and an inference each. Reported are medians of the ratios to `in_turn` on
one thread in the same round. Writes results.csv and bars.png beside this file; with CUDA also cuda.csv.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.nn import functional as F

from facehall.cli.experiments import experiment_parser
from facehall.io import timing
from facehall.io.progress import progress_bar
from facehall.models.generators import MultiScaleRRDB

HERE = Path(__file__).parent
PAPER = 1 - (3 * 60 + 22) / (4 * 60 + 34)  # sec. 4.2: from 4 h 34 min to 3 h 22 min


@dataclass(frozen=True)
class Variant:
    topology: str
    execution: str
    threads: int
    precision: str = "fp32"
    memory_format: str = "contiguous"
    wait_policy: str = ""
    """OMP_WAIT_POLICY: what idle OpenMP threads do; empty for OpenMP's default."""

    def __str__(self) -> str:
        extras = [self.precision] * (self.precision != "fp32") + [self.memory_format] * (
            self.memory_format != "contiguous"
        )
        extras += [f"wait {self.wait_policy.lower()}"] * bool(self.wait_policy)
        return ", ".join([self.topology, self.execution, f"{self.threads} thread{'s' * (self.threads > 1)}", *extras])


BASELINE = Variant("parallel", "in_turn", 1)
VARIANTS = [
    BASELINE,
    Variant("parallel", "grouped", 1),
    Variant("parallel", "in_turn", 2),
    Variant("parallel", "in_turn", 2, wait_policy="PASSIVE"),
    Variant("parallel", "threads", 2),
    Variant("parallel", "threads", 2, wait_policy="PASSIVE"),
    Variant("parallel", "grouped", 2),
    Variant("parallel", "in_turn", 2, memory_format="channels_last"),
    Variant("parallel", "in_turn", 1, "bf16", "channels_last"),
    Variant("parallel", "in_turn", 2, "bf16", "channels_last"),
    Variant("parallel", "threads", 2, "bf16", "channels_last", "PASSIVE"),
    Variant("parallel", "grouped", 2, "bf16", "channels_last"),
    Variant("sequential", "in_turn", 1),
    Variant("sequential", "in_turn", 2),
    Variant("sequential", "in_turn", 2, "bf16", "channels_last"),
]


def make_tasks(variant: Variant, batch: int, side: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """A training step and an inference of the default generator at x4."""
    torch.manual_seed(0)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    to = {"device": device, "memory_format": formats[variant.memory_format]}
    generator = MultiScaleRRDB(4, topology=variant.topology, execution=variant.execution).to(**to)
    lr, hr = torch.rand(batch, 3, side, side).to(**to), torch.rand(batch, 3, 4 * side, 4 * side).to(**to)
    optimizer = torch.optim.Adam(generator.parameters(), fused=True)

    def forward() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=variant.precision == "bf16"):
            return generator(lr)

    def train() -> None:
        optimizer.zero_grad()
        F.l1_loss(forward().float(), hr).backward()
        optimizer.step()

    return {"train": train, "inference": torch.no_grad()(forward)}


def serve(variant: Variant, batch: int, side: int, pipe: Connection) -> None:
    """Run the requested tasks in a separate process and send the seconds taken."""
    torch.set_num_threads(variant.threads)
    tasks = make_tasks(variant, batch, side)
    while task := pipe.recv():
        pipe.send(timing.seconds(tasks[task]))


def open_process(variant: Variant, batch: int, side: int) -> Connection:
    os.environ.pop("OMP_WAIT_POLICY", None)
    if variant.wait_policy:
        os.environ["OMP_WAIT_POLICY"] = variant.wait_policy  # read when OpenMP starts
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=serve, args=(variant, batch, side, there), daemon=True).start()
    return here


def measure(batch: int, side: int, rounds: int) -> list[dict]:
    os.environ.pop("OMP_NUM_THREADS", None)
    pipes = {variant: open_process(variant, batch, side) for variant in VARIANTS}
    seconds: dict[tuple[Variant, str], list[float]] = {
        (variant, task): [] for variant in VARIANTS for task in ("train", "inference")
    }
    with progress_bar("rounds", rounds + 1) as advance:
        for turn in range(rounds + 1):
            for (variant, task), times in seconds.items():
                pipes[variant].send(task)
                took = pipes[variant].recv()
                if turn:  # the first round is a warm-up
                    times.append(took)
            advance()
    for pipe in pipes.values():
        pipe.send(None)
    return rows(seconds, BASELINE)


def rows(seconds: dict[tuple[Variant, str], list[float]], baseline: Variant) -> list[dict]:
    table = []
    for (variant, task), times in seconds.items():
        milliseconds = round(1000 * statistics.median(times), 1)
        table.append(
            {
                **asdict(variant),
                "task": task,
                "milliseconds": milliseconds,
                "ratio": round(timing.ratio(times, seconds[baseline, task]), 3),
            }
        )
    return table


def measure_cuda(batch: int, side: int, rounds: int) -> list[dict]:
    """Measure in_turn and grouped, with separate kernel launches and as a CUDA graph; interleaved in one process."""
    variants = [Variant("parallel", execution, 1, "bf16", "channels_last") for execution in ("in_turn", "grouped")]
    tasks: dict[tuple[Variant, str], Callable[[], object]] = {}
    for variant in variants:
        for name, task in make_tasks(variant, batch, side, "cuda").items():
            tasks[variant, name] = task
            tasks[variant, f"{name} as a graph"] = captured(task)
    tens = {key: partial(repeat, task, 10) for key, task in tasks.items()}
    seconds = timing.interleaved(tens, rounds, warmup=0, synchronize=torch.cuda.synchronize)
    return rows({key: [took / 10 for took in times] for key, times in seconds.items()}, variants[0])


def repeat(task: Callable[[], object], times: int) -> None:
    for _ in range(times):
        task()


def captured(task: Callable[[], object]) -> Callable[[], object]:
    """Capture the task as one CUDA graph, launched at once without Python."""
    side_stream = torch.cuda.Stream()
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        for _ in range(3):  # warm-up: creates gradients and optimizer state, and libraries choose their kernels
            task()
    torch.cuda.current_stream().wait_stream(side_stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        task()
    return graph.replay


def draw(table: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    variants = [Variant(**{key: row[key] for key in asdict(BASELINE)}) for row in table if row["task"] == "train"]
    figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
    for shift, task, colour in ((-0.2, "train", "#2b6cb0"), (0.2, "inference", "#90b8de")):
        ratios = [row["ratio"] for row in table if row["task"] == task]
        places = [i + shift for i in range(len(ratios))]
        bars = axes.barh(places, ratios, height=0.38, color=colour, label="training step" if task == "train" else task)
        axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, fontsize=8)
    axes.axvline(1 - PAPER, color="#c05621", linestyle="--", label=f"the paper's threads: {1 - PAPER:.2f}")
    axes.set_yticks(range(len(variants)), [str(variant) for variant in variants])
    axes.invert_yaxis()
    axes.set_xlabel("wall time relative to parallel RDBs in turn on one thread")
    axes.spines[["top", "right"]].set_visible(False)
    axes.get_figure().legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)


def write(table: list[dict], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=24, help="of the LR patches, in pixels")
    options = parser.parse_args()
    table = measure(options.batch, options.side, options.rounds)
    write(table, HERE / "results.csv")
    draw(table, HERE / "bars.png")
    for row in table:
        print(*row.values(), sep="\t")
    if torch.cuda.is_available():
        write(measure_cuda(options.batch, options.side, options.rounds), HERE / "cuda.csv")


if __name__ == "__main__":
    main()
