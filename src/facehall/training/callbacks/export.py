"""weights/: a run's generators as single files that load without training code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from facehall.models.generators import Generator
from facehall.models.weights import save_generator
from facehall.training.module import SuperResolution


class ExportWeights(L.Callback):
    """Write weights/generator_ema.safetensors and generator.safetensors after each epoch.

    At the end of each phase but the last, the averaged generator is kept as generator_PHASE.safetensors:
    generator_psnr.safetensors is the high-PSNR counterpart of the final GAN.

    Args:
        folder: weights/ in the run folder.
        run: name of the run, written to the files.
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
        save_generator(self.folder / f"{name}.safetensors", generator, origin(module, self.run))


def origin(module: SuperResolution, run: str) -> dict[str, str]:
    """Return metadata on the origin of weights: run, step, phase, and the measures used as losses so far."""
    done = module.generator_step
    phase = module.curriculum.at(done - 1)
    phases = module.curriculum.trained[: module.curriculum.trained.index(phase) + 1]
    terms = [module.losses[name] for name in module.losses.names if any(each.weights.get(name) for each in phases)]
    minimised = sorted({term.measure for term in terms if term.measure})
    found = {"run": run, "step": str(done), "phase": phase.name}
    return found | ({"losses": ",".join(minimised)} if minimised else {})
