"""Step profiling: debug=profile writes a table, a bar chart and operator times to the run folder."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.profilers import Profiler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.profiler import ProfilerActivity, profile, record_function

from facehall.io.atomic import replacing, write_text
from facehall.io.logs import say
from facehall.training.spans import listening

STEP, TRAINING, CALLBACKS = "whole batch", "training step", "callbacks"
ACTIONS = {
    "train_dataloader_next": "data",
    "batch_to_device": "data to device",
    "run_training_batch": STEP,
    "training_step": TRAINING,
    "val_next": "validation data",
    "validation_step": "validation",
}
"""Lightning's action names -> names in the table."""
NAMES = [*ACTIONS.values(), CALLBACKS]
OTHER = "rest of the step"
"""Time of the training step outside any span."""
BETWEEN = "loggers, Lightning"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the section; calls: number of calls; milliseconds: per training step, by the host clock.
        device: milliseconds per training step by the GPU clock; None without a GPU.
    """

    name: str
    calls: int
    milliseconds: float
    device: float | None


class StepProfiler(Profiler):
    """A profiler for Lightning's Trainer that also records the training module's spans.

    Each section is timed on the host, and with CUDA events on the GPU, which runs asynchronously; torch's profiler runs
    alongside for the operators, and slows small ones. Spans are not nested, so the rows of a step add up to it. The
    first steps, which build kernels and caches, are skipped.

    Args:
        folder: the run folder; profile.txt, profile.csv, profile.png and operators.txt are written there.
        skip: warm-up training steps.
        operators: rows of the operator table.
    """

    def __init__(self, folder: str | Path, skip: int = 4, operators: int = 30) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.skip = skip
        self.operators = operators
        self.steps = 0
        self._open: dict[str, AbstractContextManager[None]] = {}
        self._running = ExitStack()
        self._torch: profile | None = None
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._events: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = defaultdict(list)
        self._started = self._elapsed = 0.0
        self._written = False

    def start(self, action_name: str) -> None:
        name = _name(action_name)
        if name is None:
            return
        if name == STEP:
            self.steps += 1
            if self.steps == self.skip + 1:
                self._start_recording()
        if self._torch is not None:
            self._open[name] = self._timed(name)
            self._open[name].__enter__()

    def stop(self, action_name: str) -> None:
        name = _name(action_name)
        if name in self._open:
            self._open.pop(name).__exit__(None, None, None)

    def _start_recording(self) -> None:
        cuda = torch.cuda.is_available()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
        self._torch = self._running.enter_context(profile(activities=activities))
        self._running.enter_context(listening(self._timed))
        self._started = time.perf_counter()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if torch.cuda.is_initialized() else []
        if events:
            events[0].record()
        started = time.perf_counter()
        try:
            with record_function(name):
                yield
        finally:
            self._seconds[name].append(time.perf_counter() - started)
            if events:
                events[1].record()
                self._events[name].append((events[0], events[1]))

    def rows(self) -> list[Row]:
        """Return the table: data, training step, validation, everything else; times per training step."""
        if self._events:
            torch.cuda.synchronize()
        host = {name: 1000 * sum(values) / self.counted for name, values in self._seconds.items()}
        device = {name: sum(a.elapsed_time(b) for a, b in pairs) / self.counted for name, pairs in self._events.items()}

        def row(name: str) -> Row:
            return Row(name, len(self._seconds[name]), host[name], device.get(name))

        inside = [row(name) for name in host if name not in NAMES]
        rest = max(0.0, host[TRAINING] - sum(row.milliseconds for row in inside))
        rows = [row(name) for name in NAMES[:2] if name in host]
        rows += [*inside, Row(OTHER, self.counted, rest, None)]
        rows += [row(name) for name in NAMES[4:] if name in host]
        between = 1000 * self._elapsed / self.counted - sum(row.milliseconds for row in rows)
        return [*rows, Row(BETWEEN, self.counted, max(0.0, between), None)]

    @property
    def counted(self) -> int:
        """Number of training steps in the table."""
        return self.steps - self.skip

    def describe(self) -> None:
        """Write the files, once; Lightning calls this at the end of a training."""
        if self._torch is None or self._written:
            return
        self._written = True
        self._elapsed = time.perf_counter() - self._started
        self._running.close()
        if self._local_rank not in (None, 0):
            return
        rows = self.rows()
        write_text(self.folder / "profile.txt", table(rows, self.counted) + "\n")
        _write_csv(rows, self.folder / "profile.csv")
        _draw(rows, self.folder / "profile.png")
        by = "self_device_time_total" if self._events else "self_cpu_time_total"
        operators = self._torch.key_averages().table(sort_by=by, row_limit=self.operators, max_name_column_width=60)
        write_text(self.folder / "operators.txt", operators + "\n")
        say(table(rows, self.counted))

    def teardown(self, stage: str | None) -> None:
        self._running.close()  # also after a failure, when nothing is written
        super().teardown(stage)


def _name(action: str) -> str | None:
    """Return the table's name for a Lightning action, None for actions not in the table."""
    owner, _, hook = action.rpartition(".")
    if owner.startswith("[Callback]"):
        return CALLBACKS if hook.startswith("on_") and "checkpoint" not in hook else None  # nested in others
    return ACTIONS.get(hook)


def table(rows: list[Row], steps: int) -> str:
    """Format the rows as text, with their shares of the total."""
    whole = sum(row.milliseconds for row in rows) or 1.0
    device = any(row.device is not None for row in rows)
    width = max(len(row.name) for row in rows)
    lines = [f"Time of {steps} training steps and their validation, in ms per step:"]
    lines.append(f"  {'':<{width}}  {'calls':>6}{'host':>10}{'share':>8}" + (f"{'GPU':>10}" if device else ""))
    for row in [*rows, Row("all", steps, whole, None)]:
        line = f"  {row.name:<{width}}  {row.calls:6d}{row.milliseconds:10.2f}{100 * row.milliseconds / whole:7.1f}%"
        lines.append(line + (f"{row.device:10.2f}" if row.device is not None else ""))
    return "\n".join(lines)


def _write_csv(rows: list[Row], path: Path) -> None:
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["section", "calls", "host_ms_per_step", "gpu_ms_per_step"])
        writer.writerows(
            [row.name, row.calls, f"{row.milliseconds:.4f}", "" if row.device is None else f"{row.device:.4f}"]
            for row in rows
        )


def _draw(rows: list[Row], path: Path) -> None:
    """Draw a bar chart, longest on top."""
    rows = sorted(rows, key=lambda row: row.milliseconds)
    figure = Figure(figsize=(7, 0.6 + 0.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    bars = axes.barh([row.name for row in rows], [row.milliseconds for row in rows], color="#1f4e79")
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set(xlabel="ms per training step (host)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
