"""weights/generator_best.safetensors: the best epoch by one measure, subject to a floor on another."""

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
    """Keep the averaged generator of the best epoch by one measure, among epochs that meet a floor on another.

    A GAN trades PSNR for LPIPS, and unconstrained it trades too much. The default is therefore the lowest LPIPS among
    epochs whose PSNR is at least bicubic's, or the highest PSNR if no perceptual measure is computed.

    Args:
        folder: weights/ in the run folder.
        run: name of the run, written to the file.
        measure: name of the ranking measure; None: the first perceptual measure, else the first.
        floor: ``bicubic`` for bicubic's value on the same images; ``PHASE_phase`` (``psnr_phase``), with the name of
            the first phase, for the value at the end of that phase; a number; or None for no floor.
        floor_measure: name of the measure that the floor applies to.
        margin: tolerated shortfall from the floor, in the unit of `floor_measure`.

    Attributes:
        best: epoch, step and headline measures of the saved file; None until an epoch meets the floor.
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
            raise ValueError(f"floor must be bicubic, PHASE{PHASE} (psnr{PHASE}), a number or null, not {floor!r}")
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
                f"callbacks.best.floor={self.floor}: the curriculum's first phase is {first}. Choose bicubic, "
                f"{first + PHASE}, a number or null."
            )
        self._resolve_measures(pl_module.protocol)  # raises if one is not computed
        if not self.path.is_file():  # the checkpoint was moved to another folder
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
        """Return whether an epoch with these validation measures is the best so far, and record it if so."""
        ranked, floored = self._resolve_measures(protocol)
        if first_phase:
            self._first_phase = values[f"val/{self.floor_measure}"] if floored else None
        if self.best is not None and not self._passes(self.best, values, floored):
            self.best = None  # the first phase has since raised the floor
        kept = {measure.name for measure in (*headlines(protocol.measures), ranked, floored) if measure is not None}
        found = {name: values[f"val/{name}"] for name in protocol.names if name in kept}
        lowest_cost = math.inf if self.best is None else ranked.cost(self.best[ranked.name])
        valid = not any(map(math.isnan, found.values()))
        better = valid and self._passes(found, values, floored) and ranked.cost(found[ranked.name]) < lowest_cost
        if better:
            self.best = {**when, **found}
        return better

    def _resolve_measures(self, protocol: Protocol) -> tuple[Measure, Measure | None]:
        """Return the ranking measure and the floor's measure (None without a floor).

        Raises:
            FacehallError: validation does not compute one of them.
        """
        measures = {measure.name: measure for measure in protocol.measures}
        wanted = {"measure": self.measure, "floor_measure": self.floor_measure if self.floor is not None else None}
        for key, name in wanted.items():
            if name is not None and name not in measures:
                raise FacehallError(
                    f"callbacks.best.{key}={name}: validation does not compute it, only {', '.join(measures)}. Add it "
                    f"to metrics.measures, or choose another{' (or floor=null)' if key == 'floor_measure' else ''}."
                )
        ranked = protocol.ranking if self.measure is None else measures[self.measure]
        return ranked, None if self.floor is None else measures[self.floor_measure]

    def _passes(self, found: Mapping[str, Any], values: Mapping[str, float], floored: Measure | None) -> bool:
        if floored is None:
            return True
        floor: float | None
        if isinstance(self.floor, (int, float)):
            floor = self.floor
        else:
            floor = values[f"val/bicubic_{floored.name}"] if self.floor == "bicubic" else self._first_phase
        assert floor is not None  # set in the first phase
        return floored.cost(found[floored.name]) <= floored.cost(floor) + self.margin

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "first_phase": self._first_phase}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
        self._first_phase = state_dict["first_phase"]
