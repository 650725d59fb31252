"""Kill a training (-9) at random moments, restart it each time, and compare the result with an uninterrupted one.

python experiments/survival/measure.py [--kills 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import facehall.config.assembly  # noqa: F401 - which a training imports, but not before it starts
from facehall import train
from facehall.cli.experiments import experiment_parser
from facehall.training.callbacks import Checkpoints

PLACES = ("start", "step", "checkpoint", "validation", "end of epoch")
LONGEST_DELAY = {"any": 0.3, "checkpoint": 0.01, "start": 1.2}  # seconds after the step or the start
OVERRIDES = [
    *("experiment=esrgan_vgg16s", "resume=auto", "name=run", "logger=none", "metrics.lpips=none", "trainer=cpu"),
    *("generator.blocks=1", "generator.convs=2", "generator.growth=4", "generator.features=8"),
    *("generator.stage_features=8", "generator.stage_growth=4", "generator.carry=2", "discriminator.channels=4"),
    *("patches.batch_size=2", "patches.patch_size=8", "trainer.enable_progress_bar=false", "runtime.threads=1"),
    *("trainer.limit_val_batches=1", "callbacks.checkpoint.every_steps=3", "training.ema_decay=0.9"),
]


@dataclass
class KillTime:
    """When a process is killed: some seconds after its start, a step, or the start of writing a checkpoint."""

    kind: str
    step: int
    delay: float

    def arm(self) -> None:
        timer = threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()


class Progress:
    """The training's progress, shared with the parent process: the generator step and an index into PLACES."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8)

    def set(self, step: int, place: str) -> None:
        self.memory[:] = struct.pack("ii", step, PLACES.index(place))

    def get(self) -> tuple[int, str]:
        step, place = struct.unpack("ii", self.memory[:])
        return step, PLACES[place]


def main() -> None:
    arguments = parse()
    length = [f"curriculum.psnr.steps={arguments.steps // 2}", f"curriculum.gan.steps={arguments.steps // 2}"]
    length += ["curriculum.gan.ramp=4", "patches.steps_per_epoch=8"]
    draw, rows = random.Random(arguments.seed), []
    with tempfile.TemporaryDirectory() as folder:
        uninterrupted, killed = Path(folder, "uninterrupted"), Path(folder, "killed")
        started = time.monotonic()
        assert finish(start(uninterrupted, length, Progress())) == 0
        print(f"uninterrupted: {time.monotonic() - started:.0f} s", flush=True)
        targets = sorted(draw.randrange(arguments.steps - 20) for _ in range(arguments.kills))
        for number, target in enumerate(targets, 1):
            rows.append(kill(number, target, killed, length, draw))
            print(rows[-1], flush=True)
        assert finish(start(killed, length, Progress())) == 0
        compared = compare(uninterrupted, killed)
    with arguments.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(compared))
    print(f"{sum(row['lost_steps'] for row in rows)} steps were computed twice in {len(rows)} kills.")


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("results.csv"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def start(folder: Path, overrides: list[str], progress: Progress, kill_time: KillTime | None = None) -> int:
    """Start the real command in a forked process, with its imports already done; return the process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.argv = ["facehall.train", *OVERRIDES, *overrides]
        instrument(progress, kill_time)
        train.main()
        status = 0
    finally:
        os._exit(status)


def instrument(progress: Progress, kill_time: KillTime | None) -> None:
    """Make this process's callbacks report progress, and kill it at the given time."""

    def wrap(name: str, before: str, after: str) -> None:
        original: Callable[..., Any] = getattr(Checkpoints, name)

        def wrapped(self: Checkpoints, *arguments: Any) -> Any:
            module = next(a for a in arguments if hasattr(a, "generator_step"))
            progress.set(module.generator_step, before)
            if kill_time is not None and module.generator_step >= kill_time.step and kill_time.kind in ("any", before):
                kill_time.arm()
            result = original(self, *arguments)
            progress.set(module.generator_step, after)
            return result

        setattr(Checkpoints, name, wrapped)

    if kill_time is not None and kill_time.kind == "start":
        kill_time.arm()
    wrap("on_train_batch_start", "step", "step")
    wrap("_save", "checkpoint", "step")
    wrap("on_validation_start", "validation", "validation")
    wrap("on_validation_end", "validation", "end of epoch")


def finish(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(number: int, step: int, folder: Path, overrides: list[str], draw: random.Random) -> dict[str, Any]:
    """Start the training and kill it after that step; return a row of the table."""
    kind = draw.choice(("any", "any", "checkpoint", "start"))
    progress, started = Progress(), time.monotonic()
    kill_time = KillTime(kind, step, draw.uniform(0, LONGEST_DELAY[kind]))
    if finish(start(folder, overrides, progress, kill_time)) != -signal.SIGKILL:
        raise SystemExit("the training finished before it could be killed: raise --steps")
    step, place = progress.get()
    saved = checkpoint_step(folder)
    return {
        "kill": number,
        "after_seconds": round(time.monotonic() - started, 2),
        "place": place,
        "step": step if place != "start" else saved,
        "checkpoint": saved,
        "lost_steps": max(step - saved, 0) if place != "start" else 0,
        "half_written_files": sum(1 for _ in folder.rglob(".*.part")),
    }


def checkpoint_step(folder: Path) -> int:
    """Return the step of last.ckpt, which must be loadable whenever it exists; 0 without one."""
    found = list(folder.glob("runs/run/*/checkpoints/last.ckpt"))
    return torch.load(found[0], weights_only=True)["generator_step"] if found else 0


def compare(one: Path, other: Path) -> list[str]:
    """Check that both runs left the same files, except for times and paths."""
    (a,), (b,) = ([path.parent for path in folder.glob("runs/run/*/summary.json")] for folder in (one, other))
    lines = []
    files = sorted(path.relative_to(a) for path in a.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(b) for path in b.rglob("*") if path.is_file()), "different sets of files"
    for file in files:
        if file.suffix == ".ckpt":
            first, second = (torch.load(run / file, weights_only=True) for run in (a, b))
            same = all(equal(first[key], second[key]) for key in first if key not in ("callbacks", "survival"))
        elif file.name == "summary.json":
            first, second = (json.loads((run / file).read_text()) for run in (a, b))
            same = first | {"seconds": 0} == second | {"seconds": 0}
        elif file.name == "config.yaml":
            continue
        else:
            same = (a / file).read_bytes() == (b / file).read_bytes()
        assert same, f"{file} differs"
        lines.append(f"equal: {file}")
    return lines


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


if __name__ == "__main__":
    main()
