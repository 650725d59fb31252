"""samples.png: LR, bicubic, SR and HR side by side, in the run folder and on the W&B dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from facehall.imaging import comparison_sheet, to_uint8, upscale_bicubic, write_picture
from facehall.metrics import Protocol
from facehall.metrics.views import PROVIDED_INPUTS
from facehall.training.module import SuperResolution

TITLES = ["LR", "bicubic", "facehall", "HR"]
Panel = tuple[list[np.ndarray], list[str]]


class SamplePanels(L.Callback):
    """Draw the first validation images of each epoch.

    Args:
        folder: the run folder.
        count: number of images.
        every: epochs between drawings; the last epoch is always drawn.
    """

    def __init__(self, folder: str | Path, count: int = 4, every: int = 1) -> None:
        self.folder = Path(folder)
        self.count = count
        self.every = every
        self._panels: list[Panel] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._panels = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Mapping[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, SuperResolution)
        if not trainer.is_global_zero or not self._due(trainer) or not isinstance(outputs, Tensor):
            return
        for i, name in enumerate(batch["name"][: self.count - len(self._panels)]):
            lr, hr, sr = (pictures[i] for pictures in (batch["lr"], batch["hr"], outputs))
            self._panels.append(draw_panel(name, lr, hr, sr, pl_module.protocol))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero or not self._panels:
            return
        rows, captions = [list(column) for column in zip(*self._panels, strict=True)]
        sheet = comparison_sheet(rows, TITLES, captions)
        write_picture(self.folder / "samples.png", sheet, compression=1)  # it is soon replaced
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("val/samples", [sheet], caption=[f"epoch {trainer.current_epoch + 1}"])

    def _due(self, trainer: L.Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        return not trainer.sanity_checking and (epoch % self.every == 0 or epoch == trainer.max_epochs)


def draw_panel(name: str, lr: Tensor, hr: Tensor, sr: Tensor, protocol: Protocol) -> Panel:
    """Return one row of a sheet, pictures (H, W, 3) uint8 of LR, bicubic, SR and HR, and their captions.

    The captions give the protocol's first measure that needs nothing but images.

    Args:
        lr: (3, h, w) in [0, 1]; hr and sr: (3, s h, s w).
    """
    bicubic = upscale_bicubic(lr, protocol.scale)
    measure = next((each for each in protocol.measures if {*each.needs} <= {*PROVIDED_INPUTS, "lr"}), None)
    captions = ["", ""]
    if measure is not None:
        images, truth = torch.stack((bicubic, sr)), hr.expand(2, -1, -1, -1)
        lrs = lr.expand(2, -1, -1, -1)
        values = protocol.measure(images, truth, only=(measure.name,), lr=lrs)[measure.name]
        captions = [measure.text(value, unit=True) for value in values.tolist()]
    return [to_uint8(image.cpu()) for image in (lr, bicubic, sr, hr)], [name, *captions, ""]
