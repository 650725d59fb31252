"""metrics.csv and curves.png: every epoch's measures and losses (the paper's Figs 4-6)."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L

from facehall.errors import StoppedBySignal
from facehall.io.atomic import replacing
from facehall.training.curves import draw_curves
from facehall.training.module import SuperResolution

Row = dict[str, float | int | str]


class History(L.Callback):
    """Write one row per epoch: epoch, generator step, phase, validation measures, the mean of each loss term.

    Both files are rewritten atomically. The rows are stored in checkpoints, so that a resumed run continues from those
    of its checkpoint, whatever happened to the file. Drawing takes half a second: if epochs are shorter than
    `interval`, the curves are drawn at that interval, and at the end of the training, finished or stopped.

    Args:
        folder: the run folder.
        interval: minimum seconds between drawings of the curves; None draws none.

    Attributes:
        rows: the table so far.
    """

    def __init__(self, folder: str | Path, interval: float | None = 10) -> None:
        self.folder = Path(folder)
        self.interval = interval
        self.rows: list[Row] = []
        self._drawn_at = 0.0
        self._drawn_rows = 0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._drawn_at, self._drawn_rows = time.monotonic(), 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.callback_metrics.clear()  # Lightning keeps the values of earlier epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if not trainer.is_global_zero:
            return
        step = pl_module.generator_step
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": step,
                "phase": pl_module.curriculum.phase(step - 1),
                **_measured(trainer),
            }
        )
        write_history(self.folder / "metrics.csv", self.rows)
        if self.interval is not None and time.monotonic() - self._drawn_at >= self.interval:
            self._draw(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._draw(pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero and isinstance(exception, StoppedBySignal):
            self._draw(pl_module)

    def _draw(self, module: L.LightningModule) -> None:
        """Draw the curves, unless they are up to date."""
        assert isinstance(module, SuperResolution)
        if self.interval is None or len(self.rows) == self._drawn_rows:
            return
        draw_curves(self.rows, self.folder / "curves.png", module.protocol.measures)
        self._drawn_at, self._drawn_rows = time.monotonic(), len(self.rows)


def _measured(trainer: L.Trainer) -> dict[str, float]:
    """Return validation measures and epoch means of the loss terms, without Lightning's suffixes."""
    means = {
        name.removesuffix("_epoch"): float(value)
        for name, value in trainer.callback_metrics.items()
        if not name.endswith("_step")
    }
    return dict(sorted(means.items(), key=lambda item: (not item[0].startswith("val/"), item[0])))


def write_history(path: Path, rows: list[Row]) -> None:
    """Write the table atomically, with columns in order of first appearance."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[Row]:
    """Read a table written by `write_history`; empty cells are omitted."""
    with path.open(newline="") as file:
        return [{key: _number(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
