"""weights/generator_best.safetensors: the best epoch by one measure among those that keep a floor of another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from facehall.errors import FacehallError
from facehall.metrics import Measure, Protocol
from facehall.metrics.measures import headlines
from facehall.models.weights import save_generator
from facehall.training.callbacks.export import origin
from facehall.training.module import SuperResolution

PHASE = "_phase"


class BestWeights(L.Callback):
    """Keeps the averaged generator of the epoch that is best by a measure, of those that reach a floor of another.

    A GAN buys LPIPS with PSNR, and left alone it buys more than it should: so by default the lowest LPIPS counts of the
    epochs whose PSNR is at least bicubic's, and where nothing perceptual is measured the highest PSNR.

    Args:
        folder: weights/ in the run folder.
        run: name of the run, written into the file.
        measure: the name of the measure that decides; None: the first perceptual one that is measured, else the first.
        floor: ``bicubic`` for bicubic's value on the same images, ``PHASE_phase`` (``psnr_phase``) for that at the end
            of the first phase, which is called PHASE, a number, or None for no floor.
        floor_measure: the name of the measure that the floor is of.
        margin: how far on the wrong side of the floor still passes, in the unit of `floor_measure`.

    Attributes:
        best: epoch, step and headline measures of the file; None as long as no epoch has reached the floor.
    """

    def __init__(
        self,
        folder: str | Path,
        run: str,
        floor: str | float | None = "bicubic",
        margin: float = 0.0,
        measure: str | None = None,
        floor_measure: str = "psnr",
    ) -> None:
        if isinstance(floor, str) and floor != "bicubic" and not floor.endswith(PHASE):
            raise ValueError(f"floor is bicubic or psnr_phase, a number, or null, not {floor!r}")
        self.path = Path(folder) / "generator_best.safetensors"
        self.run = run
        self.floor = floor
        self.margin = margin
        self.measure = measure
        self.floor_measure = floor_measure
        self.best: dict[str, Any] | None = None
        self._first_phase: float | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        first = pl_module.curriculum.phase(0)
        if isinstance(self.floor, str) and self.floor not in ("bicubic", first + PHASE):
            raise FacehallError(
                f"callbacks.best.floor={self.floor}: the first phase of this curriculum is {first}. Choose bicubic, "
                f"{first + PHASE}, a number, or null."
            )
        self._chosen(pl_module.protocol)  # raises where they are not measured
        if not self.path.is_file():  # a checkpoint that was carried into another folder
            self.best = None

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SuperResolution)
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        step = pl_module.generator_step
        phase = pl_module.curriculum.phase(step - 1)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        when = {"epoch": trainer.current_epoch + 1, "step": step}
        first = phase == pl_module.curriculum.phase(0)
        better = self.consider(when, first, values, pl_module.protocol)
        if not trainer.is_global_zero:
            return
        if better:
            save_generator(self.path, pl_module.ema.generator, origin(pl_module, self.run))
        elif self.best is None:
            self.path.unlink(missing_ok=True)

    def consider(
        self, when: dict[str, int], first_phase: bool, values: Mapping[str, float], protocol: Protocol
    ) -> bool:
        """Whether an epoch with these validation measures is the best so far; if so it is remembered as such."""
        ranked, limited = self._chosen(protocol)
        if first_phase:
            self._first_phase = values[f"val/{self.floor_measure}"] if limited else None
        if self.best is not None and not self._passes(self.best, values, limited):
            self.best = None  # the floor has risen with the first phase
        kept = {measure.name for measure in (*headlines(protocol.measures), ranked, limited) if measure is not None}
        found = {name: values[f"val/{name}"] for name in protocol.names if name in kept}
        beaten = math.inf if self.best is None else ranked.cost(self.best[ranked.name])
        sound = not any(map(math.isnan, found.values()))
        better = sound and self._passes(found, values, limited) and ranked.cost(found[ranked.name]) < beaten
        if better:
            self.best = {**when, **found}
        return better

    def _chosen(self, protocol: Protocol) -> tuple[Measure, Measure | None]:
        """The measure that decides, and that of the floor if there is one.

        Raises:
            FacehallError: one of them is not measured.
        """
        measures = {measure.name: measure for measure in protocol.measures}
        wanted = {"measure": self.measure, "floor_measure": self.floor_measure if self.floor is not None else None}
        for key, name in wanted.items():
            if name is not None and name not in measures:
                raise FacehallError(
                    f"callbacks.best.{key}={name}: the validation does not measure it, but {', '.join(measures)}. Add "
                    f"it to metrics.measures, or choose another{' (or floor=null)' if key == 'floor_measure' else ''}."
                )
        ranked = protocol.ranking if self.measure is None else measures[self.measure]
        return ranked, None if self.floor is None else measures[self.floor_measure]

    def _passes(self, found: Mapping[str, Any], values: Mapping[str, float], limited: Measure | None) -> bool:
        if limited is None:
            return True
        floor: float | None
        if isinstance(self.floor, (int, float)):
            floor = self.floor
        else:
            floor = values[f"val/bicubic_{limited.name}"] if self.floor == "bicubic" else self._first_phase
        assert floor is not None  # the first phase comes first
        return limited.cost(found[limited.name]) <= limited.cost(floor) + self.margin

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "first_phase": self._first_phase}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self._first_phase = state_dict["first_phase"]
