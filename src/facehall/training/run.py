"""An assembled training as plain objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning as L

from facehall.data import PatchDataModule
from facehall.training.module import SuperResolution
from facehall.training.performance import Choice


@dataclass(frozen=True)
class Training:
    """The parts of one training.

    Attributes:
        name: run name.
        run_dir: the run folder.
        module, datamodule, trainer: the Lightning objects.
        performance: the performance settings.
        init: source of the generator's initial weights; None for random ones.
    """

    name: str
    run_dir: Path
    module: SuperResolution
    datamodule: PatchDataModule
    trainer: L.Trainer
    performance: tuple[Choice, ...]
    init: str | None = None
