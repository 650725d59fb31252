"""job.json: the overrides and the status of a job of a sweep."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

from facehall.io.atomic import write_text
from facehall.metrics.measures import Measure, from_json

RECORD = "job.json"
SUMMARY = "summary.json"

Status = Literal["running", "finished", "failed", "interrupted", "lost"]


@dataclass(frozen=True)
class Record:
    """A job.

    Attributes:
        overrides: KEY=VALUE, without sweep.* and search.*.
        status: "lost" is a running job whose process no longer exists.
        error: reason of a failure, in one line.
        seconds: total run time over all starts.
        host, process: host name and process id.
    """

    overrides: list[str]
    status: Status = "running"
    error: str = ""
    seconds: float = 0.0
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)

    def refreshed(self) -> Record:
        """Return the record, with status "lost" if it should be running on this machine but is not."""
        here = self.host == socket.gethostname()
        return replace(self, status="lost") if self.status == "running" and here and not _alive(self.process) else self


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def read_record(folder: Path) -> Record | None:
    """Read the record of a job's folder; None if missing, or while first being written."""
    try:
        return Record(**json.loads((folder / RECORD).read_text(encoding="utf-8"))).refreshed()
    except (OSError, ValueError, TypeError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a job's folder atomically."""
    write_text(folder / RECORD, _text(record))


def read_summary(folder: Path) -> dict[str, Any]:
    """Read summary.json of a run folder; empty if missing."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def declared_measures(summary: Mapping[str, Any]) -> list[Measure]:
    """Return the measures declared in a summary; the package's own for older versions, which declared none."""
    if "measures" in summary:
        return from_json(summary["measures"])
    if "bicubic" not in summary:  # of a job that has not finished
        return []
    from facehall.metrics.judges import JUDGES  # imports torch

    return [JUDGES[name].measure for name in summary["bicubic"] if name in JUDGES]


def claim_folder(folder: Path, overrides: Sequence[str]) -> tuple[Path, Record]:
    """Return the folder for a job with these overrides, and its record.

    This is the folder of an earlier start of the sweep if it has a job with the same overrides; else `folder`, or the
    next free number if another job uses that (a resumed search numbers its jobs from 0 again).
    """
    for earlier in sorted(folder.parent.glob(f"*/{RECORD}")):
        record = read_record(earlier.parent)
        if record and sorted(record.overrides) == sorted(overrides) and record.status != "running":
            return earlier.parent, record
    record = Record(list(overrides))
    for candidate in _folders_from(folder):
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            with (candidate / RECORD).open("x", encoding="utf-8") as file:
                file.write(_text(record))
            return candidate, record
        except FileExistsError:
            continue
    raise AssertionError


def _folders_from(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.name.isdecimal():
        yield from (folder.with_name(str(number)) for number in count(int(folder.name) + 1))
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def _text(record: Record) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"
