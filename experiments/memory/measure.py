"""Peak memory and time of a training step of RRDBNet(23) with each way of keeping dense blocks' maps.

python experiments/memory/measure.py [--rounds 5] [--threads 2]

Each way runs in a fresh process, so that the peak of its resident memory (what the system says, all of the process)
is its own; then they take turns at single steps for the time. What torch's allocator held at most in a step comes from
its own events, in one more process. Writes results.csv beside this file.
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
WAYS = [
    (memory, precision)
    for precision in ("fp32", "bf16")  # bf16: autocast and channels_last
    for memory in ("naive", "efficient", "recompute")
]
MIB = 2**20


def training_step(memory: str, precision: str) -> Callable[..., None]:
    """A step on the whole batch, or on patches of another side."""
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


def serve(way: tuple[str, str], threads: int, pipe: Connection) -> None:
    """Two steps and the peak of resident memory in MiB; then a step's seconds whenever asked."""
    torch.set_num_threads(threads)
    step = training_step(*way)
    step()
    step()
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB)
    while pipe.recv():
        pipe.send(timing.seconds(step))


def allocator_peak(way: tuple[str, str], threads: int, pipe: Connection) -> None:
    """The most bytes that torch's CPU allocator held at once in a step, in MiB, weights and Adam's state included."""
    torch.set_num_threads(threads)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step = training_step(*way)  # inside, or its allocations are not counted
        step(4)  # makes Adam's state
        step()
    with tempfile.TemporaryDirectory() as folder:
        profiler.export_chrome_trace(str(Path(folder, "trace.json")))
        events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    pipe.send(max(event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]") / MIB)


def open_process(target: Callable[..., None], way: tuple[str, str], threads: int) -> Connection:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=target, args=(way, threads, there), daemon=True).start()
    return here


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    allocated, resident, pipes = {}, {}, {}
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    with progress_bar("measuring", 2 * len(WAYS) + options.rounds) as advance:
        for way in WAYS:
            allocated[way] = open_process(allocator_peak, way, options.threads).recv()
            advance()
        for way in WAYS:
            pipes[way] = open_process(serve, way, options.threads)
            resident[way] = pipes[way].recv()
            advance()
        for _ in range(options.rounds):
            for way in WAYS:
                pipes[way].send(True)
                seconds[way].append(pipes[way].recv())
            advance()
    for pipe in pipes.values():
        pipe.send(False)
    table = []
    for memory, precision in WAYS:
        way, naive = (memory, precision), ("naive", precision)
        row = {
            "memory": memory,
            "precision": precision,
            "allocated_mib": round(allocated[way]),
            "allocated_ratio": round(allocated[way] / allocated[naive], 3),
            "resident_mib": round(resident[way]),
            "resident_ratio": round(resident[way] / resident[naive], 3),
            "seconds": round(statistics.median(seconds[way]), 2),
            "time_ratio": round(timing.ratio(seconds[way], seconds[naive]), 3),
        }
        table.append(row)
        print(*row.values(), sep="\t")
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
