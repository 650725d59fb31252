"""What a dashboard has to know of a training before the first number comes."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from facehall.training.loggers import define_measures
from facehall.training.module import SuperResolution


class DefineMeasures(L.Callback):
    """Declares the measures and their directions on the W&B run; without W&B it does nothing."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger) and trainer.is_global_zero:
                define_measures(logger, pl_module.protocol.measures)
