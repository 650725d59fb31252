"""Trainings of two processes that end in different ways, started from one process that has done the imports.

``python forked_ranks.py FOLDER OVERRIDE…`` starts one training for each of `ENDS`, side by side and each in a session
of its own. When their first processes have ended, it prints {name: [process, exit status]}. FOLDER/NAME.txt holds what
both processes of a training printed.

A fork stands in for the interpreter that Lightning's launcher would start: it waits for the launcher's command, takes
over its arguments and environment, runs the same entry point and ends as an interpreter does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from lightning.pytorch.strategies.launchers import subprocess_script

import facehall.config.assembly  # noqa: F401 - which a training imports
from facehall.data.patches.datasets import PatchDataset
from facehall.errors import FacehallError
from facehall.train import main


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hangs() -> None:
    time.sleep(600)


def broken_picture() -> None:
    raise FacehallError("photo.png is broken: remove it")


ENDS = {"killed": (1, killed), "hangs": (1, hangs), "picture": (1, broken_picture), "first_killed": (0, killed)}
"""Name: the rank that ends, and how."""


class Understudy(subprocess.Popen):
    """A fork of this process that runs the command which the launcher asks for."""

    def __init__(self) -> None:
        self.commands, self.to_child = os.pipe()
        super().__init__(["fork"])

    def _execute_child(self, *_: object) -> None:
        self.pid = os.fork()
        if not self.pid:
            os.close(self.to_child)
            told = os.fdopen(self.commands).read()
            if not told:
                os._exit(0)  # the first process ended before its launcher asked
            sys.argv[1:], environment = json.loads(told)
            os.environ.clear()
            os.environ.update(environment)

    def started_by_launcher(self, command: list[str], env: dict[str, str], cwd: str | None) -> Understudy:
        assert cwd is None or Path(cwd) == Path.cwd()
        os.write(self.to_child, json.dumps([command[2:], env]).encode())
        os.close(self.to_child)
        return self


def end_at_sixth_picture(end: Callable[[], None]) -> None:
    """Make this process end in the middle of a training."""
    plain = PatchDataset.__getitem__

    def ending(self: PatchDataset, index: int) -> object:
        if index > 4:
            end()
        return plain(self, index)

    PatchDataset.__getitem__ = ending


def become_training(name: str, folder: Path) -> None:
    """Turn this fork into both processes of a training."""
    os.setsid()
    output = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    run = folder / name
    sys.argv += [f"run_dir={run}", f"hydra.run.dir={run}"]
    if name == "hangs":  # the others end at once, and must not pass for silent beside busy neighbours
        sys.argv.append("trainer.strategy.timeout=5")
    understudy = Understudy()
    if understudy.pid:
        subprocess_script.subprocess = SimpleNamespace(Popen=understudy.started_by_launcher)
    rank, end = ENDS[name]
    if rank == (0 if understudy.pid else 1):
        end_at_sixth_picture(end)


def start_all(folder: Path) -> str | None:
    """Return {name: [process, status]} as JSON, and in each fork None."""
    names = {}
    for name in ENDS:
        process = os.fork()
        if not process:
            become_training(name, folder)
            return None
        names[process] = name
    ended = {}
    while names:
        process, status = os.wait()
        ended[names.pop(process)] = [process, os.waitstatus_to_exitcode(status)]
    return json.dumps(ended)


if __name__ == "__main__":
    outcome = start_all(Path(sys.argv.pop(1)))
    if outcome is None:
        main()
    else:
        print(outcome)
