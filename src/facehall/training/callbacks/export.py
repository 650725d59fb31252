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

    At the end of each phase but the last, generator_PHASE.safetensors keeps the averaged generator as it stood then:
    generator_psnr.safetensors is the faithful sibling of a GAN's final one.

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
        step, curriculum = pl_module.generator_step, pl_module.curriculum
        stepped = (batch_idx + 1) % pl_module.accumulate == 0
        if not trainer.is_global_zero or not stepped or step >= curriculum.total_steps:
            return
        phase = curriculum.phase(step - 1)
        if step == curriculum.end(phase):
            self._save(f"generator_{phase}", pl_module.ema.generator, pl_module)

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
