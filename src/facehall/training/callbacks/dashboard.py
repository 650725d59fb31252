"""Measure declarations for the W&B dashboard."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from facehall.training.loggers import define_measures
from facehall.training.module import SuperResolution


class DefineMeasures(L.Callback):
    """Declare the measures and their directions on the W&B run; does nothing without W&B."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger) and trainer.is_global_zero:
                define_measures(logger, pl_module.protocol.measures)
