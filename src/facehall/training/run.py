"""One assembled training: everything that a run consists of, as plain objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning as L

from facehall.data import PatchDataModule
from facehall.training.module import SuperResolution
from facehall.training.performance import Choice


@dataclass(frozen=True)
class Training:
    """Everything that one training consists of.

    Attributes:
        name: of the run.
        run_dir: the run folder.
        module, datamodule, trainer: Lightning's three.
        performance: how the machine is used.
        init: what the generator's weights were loaded from; None for a fresh start.
    """

    name: str
    run_dir: Path
    module: SuperResolution
    datamodule: PatchDataModule
    trainer: L.Trainer
    performance: tuple[Choice, ...]
    init: str | None = None
