"""Measure peak memory and time of an RRDBNet(23) training step for each memory mode of the dense blocks.

python experiments/memory/measure.py [--rounds 5] [--threads 2]

Each variant runs in a fresh process, so that its peak resident memory (of the whole process, as reported by the system)
is its own; single steps of all variants are then timed in turn. The peak of torch's allocator in a step comes from its
own events, in another process. Writes results.csv beside this file.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import resource
import statistics
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from facehall.cli.experiments import experiment_parser
from facehall.io import timing
from facehall.io.progress import progress_bar
from facehall.models.generators import RRDBNet

HERE = Path(__file__).parent
BLOCKS, BATCH, SIDE = 23, 4, 32
VARIANTS = [
    (memory, precision)
    for precision in ("fp32", "bf16")  # bf16: autocast and channels_last
    for memory in ("naive", "efficient", "recompute")
]
MIB = 2**20


def training_step(memory: str, precision: str) -> Callable[..., None]:
    """Return a function that runs a step on the whole batch, or on patches of another side length."""
    torch.manual_seed(0)
    bf16 = precision == "bf16"
    memory_format = torch.channels_last if bf16 else torch.contiguous_format
    generator = RRDBNet(BLOCKS, memory=memory).to(memory_format=memory_format)
    lr = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=memory_format)
    hr = torch.rand(BATCH, 3, 4 * SIDE, 4 * SIDE).to(memory_format=memory_format)
    optimizer = torch.optim.Adam(generator.parameters(), fused=True)

    def step(side: int = SIDE) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            sr = generator(lr[..., :side, :side])
        F.l1_loss(sr.float(), hr[..., : 4 * side, : 4 * side]).backward()
        optimizer.step()

    return step


def serve(variant: tuple[str, str], threads: int, pipe: Connection) -> None:
    """Send the peak resident memory in MiB after two steps; then the seconds of a step per request."""
    torch.set_num_threads(threads)
    step = training_step(*variant)
    step()
    step()
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB)
    while pipe.recv():
        pipe.send(timing.seconds(step))


def allocator_peak(variant: tuple[str, str], threads: int, pipe: Connection) -> None:
    """Send the peak of torch's CPU allocator in a step, in MiB, including weights and Adam's state."""
    torch.set_num_threads(threads)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step = training_step(*variant)  # inside, so that its allocations are counted
        step(4)  # creates Adam's state
        step()
    with tempfile.TemporaryDirectory() as folder:
        profiler.export_chrome_trace(str(Path(folder, "trace.json")))
        events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    pipe.send(max(event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]") / MIB)


def open_process(target: Callable[..., None], variant: tuple[str, str], threads: int) -> Connection:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=target, args=(variant, threads, there), daemon=True).start()
    return here


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    allocated, resident, pipes = {}, {}, {}
    seconds: dict[tuple[str, str], list[float]] = {variant: [] for variant in VARIANTS}
    with progress_bar("measuring", 2 * len(VARIANTS) + options.rounds) as advance:
        for variant in VARIANTS:
            allocated[variant] = open_process(allocator_peak, variant, options.threads).recv()
            advance()
        for variant in VARIANTS:
            pipes[variant] = open_process(serve, variant, options.threads)
            resident[variant] = pipes[variant].recv()
            advance()
        for _ in range(options.rounds):
            for variant in VARIANTS:
                pipes[variant].send(True)
                seconds[variant].append(pipes[variant].recv())
            advance()
    for pipe in pipes.values():
        pipe.send(False)
    table = []
    for memory, precision in VARIANTS:
        variant, naive = (memory, precision), ("naive", precision)
        row = {
            "memory": memory,
            "precision": precision,
            "allocated_mib": round(allocated[variant]),
            "allocated_ratio": round(allocated[variant] / allocated[naive], 3),
            "resident_mib": round(resident[variant]),
            "resident_ratio": round(resident[variant] / resident[naive], 3),
            "seconds": round(statistics.median(seconds[variant]), 2),
            "time_ratio": round(timing.ratio(seconds[variant], seconds[naive]), 3),
        }
        table.append(row)
        print(*row.values(), sep="\t")
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
