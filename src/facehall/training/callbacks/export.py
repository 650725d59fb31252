"""weights/: the generators of a run as single files that need no training code to load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from facehall.models.generators import Generator
from facehall.models.weights import save_generator
from facehall.training.module import SuperResolution


class ExportWeights(L.Callback):
    """Writes weights/generator_ema.safetensors and generator.safetensors after each epoch.

    Where a GAN phase follows a PSNR phase, generator_psnr.safetensors keeps the averaged generator as it stood between
    them: the faithful sibling of the final one.

    Args:
        folder: weights/ in the run folder.
        run: name of the run, written into the files.
    """

    def __init__(self, folder: str | Path, run: str) -> None:
        self.folder = Path(folder)
        self.run = run

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, SuperResolution)
        curriculum = pl_module.curriculum
        between = curriculum.psnr_steps > 0 and curriculum.gan_steps > 0
        if trainer.is_global_zero and between and pl_module.generator_step == curriculum.psnr_steps:
            self._save("generator_psnr", pl_module.ema.generator, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if trainer.is_global_zero:
            self._save("generator_ema", pl_module.ema.generator, pl_module)
            self._save("generator", pl_module.generator, pl_module)

    def _save(self, name: str, generator: Generator, module: SuperResolution) -> None:
        origin = {
            "run": self.run,
            "step": str(module.generator_step),
            "phase": module.curriculum.phase(module.generator_step - 1),
        }
        save_generator(self.folder / f"{name}.safetensors", generator, origin)
