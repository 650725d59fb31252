"""step_times.json: the time of a step in each phase and of the end of an epoch, to plan a training by wall time."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import lightning as L
from torch import Tensor

from facehall.io.atomic import write_text
from facehall.training.module import SuperResolution

STEP_TIMES = "step_times.json"


class StepTimes(L.Callback):
    """Time batches and the ends of epochs (validation, pictures, files); write the means when the training ends.

    A batch's time is that from the end of the one before it, so it includes loading. The file maps phase -> seconds of
    an optimizer step in `phases`, and holds the mean seconds of an epoch's end in `epoch_end`.

    Args:
        folder: the run folder.
        skip: first batches of each epoch, which build kernels and caches and are not counted.
    """

    def __init__(self, folder: str | Path, skip: int = 2) -> None:
        self.folder = Path(folder)
        self.skip = skip
        self._batches: dict[str, list[float]] = defaultdict(list)
        self._ends: list[float] = []
        self._last = 0.0
        self._phase = ""
        self._epoch_open = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close_epoch()
        self._last, self._epoch_open = time.monotonic(), True

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, SuperResolution)
        self._phase = pl_module.curriculum.phase(pl_module.generator_step)  # the batch may end its step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Tensor | Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if batch_idx >= self.skip:
            self._batches[self._phase].append(now - self._last)
        self._last = now

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        self._close_epoch()
        if trainer.is_global_zero and self._ends:
            phases = {name: fmean(times) * pl_module.accumulate for name, times in self._batches.items()}
            content = {"phases": phases, "epoch_end": fmean(self._ends)}
            write_text(self.folder / STEP_TIMES, json.dumps(content, indent=1) + "\n")

    def _close_epoch(self) -> None:
        if self._epoch_open:
            self._ends.append(time.monotonic() - self._last)
            self._epoch_open = False
