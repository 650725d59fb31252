"""weights/generator_best.safetensors: the best LPIPS among the epochs that keep a floor of PSNR."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from facehall.errors import FacehallError
from facehall.models.weights import save_generator
from facehall.training.curriculum import Phase
from facehall.training.module import SuperResolution

FLOORS = ("bicubic", "psnr_phase")
MEASURES = ("psnr", "ssim", "lpips")


class BestWeights(L.Callback):
    """Keeps the averaged generator of the epoch with the lowest LPIPS of those whose PSNR reaches a floor.

    A GAN buys LPIPS with PSNR, and left alone it buys more than it should. Without LPIPS the highest PSNR counts.

    Args:
        folder: weights/ in the run folder.
        run: name of the run, written into the file.
        floor: ``bicubic`` for bicubic's PSNR on the same images, ``psnr_phase`` for that at the end of the first phase,
            a number of dB, or None for no floor.
        margin: dB below the floor that still pass.

    Attributes:
        best: epoch, step, psnr, ssim and lpips of the file; None as long as no epoch has reached the floor.
    """

    def __init__(
        self, folder: str | Path, run: str, floor: str | float | None = "bicubic", margin: float = 0.0
    ) -> None:
        if isinstance(floor, str) and floor not in FLOORS:
            raise ValueError(f"floor is {' or '.join(FLOORS)}, a number of dB, or null, not {floor!r}")
        self.path = Path(folder) / "generator_best.safetensors"
        self.run = run
        self.floor = floor
        self.margin = margin
        self.best: dict[str, Any] | None = None
        self._psnr_phase: float | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if self.floor == "psnr_phase" and not pl_module.curriculum.steps("psnr"):
            raise FacehallError(
                "callbacks.best.floor=psnr_phase: the curriculum has no psnr phase with steps. Choose bicubic, "
                "a number of dB, or null."
            )
        if not self.path.is_file():  # a checkpoint that was carried into another folder
            self.best = None

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        step = pl_module.generator_step
        phase = pl_module.curriculum.phase(step - 1)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        better = self.consider({"epoch": trainer.current_epoch + 1, "step": step}, phase, values)
        if not trainer.is_global_zero:
            return
        if better:
            origin = {"run": self.run, "step": str(step), "phase": phase}
            save_generator(self.path, pl_module.ema.generator, origin)
        elif self.best is None:
            self.path.unlink(missing_ok=True)

    def consider(self, when: dict[str, int], phase: Phase, values: Mapping[str, float]) -> bool:
        """Whether an epoch with these validation measures is the best so far; if so it is remembered as such."""
        if phase == "psnr":
            self._psnr_phase = values["val/psnr"]
        floor = self._floor(values)
        if self.best is not None and self.best["psnr"] < floor:
            self.best = None  # the floor has risen with the first phase
        found = {name: values[f"val/{name}"] for name in MEASURES if f"val/{name}" in values}
        beaten = math.inf if self.best is None else _rank(self.best)
        better = found["psnr"] >= floor and _rank(found) < beaten
        if better:
            self.best = {**when, **found}
        return better

    def _floor(self, values: Mapping[str, float]) -> float:
        if self.floor is None:
            return -math.inf
        if isinstance(self.floor, (int, float)):
            return self.floor - self.margin
        reference = values["val/bicubic_psnr"] if self.floor == "bicubic" else self._psnr_phase
        assert reference is not None  # the first phase comes first, and on_train_start has seen that there is one
        return reference - self.margin

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "psnr_phase": self._psnr_phase}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self._psnr_phase = state_dict["psnr_phase"]


def _rank(measures: Mapping[str, Any]) -> float:
    """Lower is better."""
    return measures.get("lpips", -measures["psnr"])
