"""A training in its own process, so that a crash does not affect the process that started it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from facehall.errors import PEER_LOST, USER_ERROR
from facehall.io.atomic import write_text
from facehall.sweeps.record import SUMMARY

MODULE = "facehall.train"
LOG = "log.txt"
ERROR = "error.txt"
SWEEP_JOB_VARIABLE = "FACEHALL_SWEEP_JOB"
"""Environment variable set in the process; its standard input closes when the process that started it ends."""

GRACE = 60.0  # seconds that an interrupted training gets to write its checkpoint


def run_training(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> str:
    """Run ``python -m facehall.train`` and wait for it; an interruption also ends the training, which saves its state.

    Args:
        arguments: those of facehall.train.
        folder: the run folder. The output is appended to its log.txt, the reason of a failure written to its error.txt.
        environment: variables of the process, to which its own are added.
        cwd: folder in which it runs; None: the current one.

    Returns:
        the reason of a failure, with details in further lines; empty if the training finished.
    """
    command = [sys.executable, "-m", MODULE, *arguments]
    variables = {
        **environment,
        SWEEP_JOB_VARIABLE: "1",
        "PYTHONUNBUFFERED": "1",  # the output of a killed training is not lost
    }
    (folder / ERROR).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it only once, through this process
        )
        status = _wait(process)
    if status == 0 and (folder / SUMMARY).is_file():
        return ""
    output = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    error = failure_reason(status, output)
    rerun = shlex.join(["python", *command[1:]])
    tail = "\n".join(output.splitlines()[-60:])
    write_text(folder / ERROR, f"{error}\n\nTo run this job alone:\n  {rerun}\n\nThe end of {LOG}:\n{tail}\n")
    return error


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the exit status; an interruption also terminates the job, which gets some time to save its state."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # not SIGINT, which is ignored under nohup and some launchers
        try:
            process.wait(GRACE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        raise
    finally:
        if process.stdin is not None:
            process.stdin.close()


def failure_reason(status: int, output: str) -> str:
    """Return why a job failed: its error paragraph, its exception, or the signal that ended it.

    Args:
        status: exit status of the process.
        output: its output.
    """
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    if status in (USER_ERROR, PEER_LOST) and (paragraph := output.rpartition("\nfacehall: ")[2].strip()):
        return paragraph
    lines = output.rpartition("Traceback (most recent call last):")[2].splitlines()
    exceptions = [line for line in lines if re.match(r"[\w.]+(:|$)", line)]
    return exceptions[0] if "Traceback" in output and exceptions else f"exited with status {status}"
