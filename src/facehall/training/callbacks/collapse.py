"""Detection of GAN failures that PSNR is slow to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.metrics.judges.artefacts import Checkerboard, ColourDrift
from facehall.training.module import SuperResolution

CHANNELS = ("red", "green", "blue")
DRIFT, CHECKERBOARD = ColourDrift(), Checkerboard()


class CollapseWatch(L.Callback):
    """Log three measures each epoch, warn when one exceeds its limit, and optionally end the training.

    `val/color_drift` and `val/checkerboard` are the measures of `facehall.metrics.judges.artefacts` over all validation
    images. `train/D_gap`, logged by the module, is the mean logit of HR minus that of SR; at a gap of g the
    discriminator is right with probability e^g / (e^g + 1), and has stopped learning.

    Args:
        color_drift, checkerboard, gap: limits; None disables the warning.
        stop: end the training with an error when a limit is exceeded; the last checkpoint predates that.
    """

    def __init__(
        self,
        color_drift: float | None = 3.0,
        checkerboard: float | None = 0.75,
        gap: float | None = 10.0,
        stop: bool = False,
    ) -> None:
        self.limits = {"val/color_drift": color_drift, "val/checkerboard": checkerboard, "train/D_gap": gap}
        self.stop = stop
        self._sums = torch.zeros(0)
        self._passed: set[str] = set()

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sums = torch.zeros(7, dtype=torch.float32, device=pl_module.device)

    @torch.no_grad()
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
        if isinstance(outputs, Tensor):
            self._sums += sums(outputs, batch["hr"], pl_module.generator.scale)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = measures(trainer.strategy.reduce(self._sums, reduce_op="sum"))
        assert isinstance(pl_module, SuperResolution)
        for name, value in found.items():
            if name not in pl_module.protocol.names:  # else validation logs it
                pl_module.log(f"val/{name}", value)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = {name.removesuffix("_epoch"): float(value) for name, value in trainer.callback_metrics.items()}
        passed = {name for name, limit in self.limits.items() if limit is not None and values.get(name, 0) > limit}
        new, self._passed = sorted(passed - self._passed), passed
        for name in new:
            line = f"epoch {trainer.current_epoch + 1}: {_describe(name, values)} (limit {self.limits[name]:g})."
            if self.stop:
                raise FacehallError(f"{line} The training ends here (callbacks.collapse.stop=true). {ADVICE[name]}")
            if trainer.is_global_zero:
                print(f"{line} {ADVICE[name]}", flush=True)

    def state_dict(self) -> dict[str, Any]:
        return {"passed": sorted(self._passed)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._passed = set(state_dict["passed"])


ADVICE = {
    "val/color_drift": "Raise the pixel weight (curriculum.gan.weights.pixel), or lower optimizer.generator.lr.",
    "val/checkerboard": "Lower the perceptual and adversarial weights (curriculum.gan.weights), or lengthen the ramp "
    "(curriculum.gan.ramp).",
    "train/D_gap": "Lower optimizer.discriminator.lr, choose a smaller discriminator, or train on more pictures.",
}


def sums(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """Return (7,): the number of images, and the sums of the three outputs each of `ColourDrift` and `Checkerboard`."""
    sr = sr.float().clamp(0, 1)
    drift, grids = DRIFT(sr, hr), CHECKERBOARD(sr, hr, scale)
    return torch.cat((drift.new_full((1,), len(drift)), drift.sum(0), grids.sum(0)))


def measures(total: Tensor) -> dict[str, float]:
    """Return the measures, in levels of 255, from the sums over all images."""
    total = total.cpu().double()
    means = total[1:] / total[0].clamp(min=1)
    drift, grids = means[:3], means[3:]
    found = {f"color_drift_{name}": 255 * float(value) for name, value in zip(CHANNELS, drift, strict=True)}
    found["color_drift"] = float(DRIFT.figure(drift))
    if grids[2] > 0:  # at least one image was large enough
        found["checkerboard"] = float(CHECKERBOARD.figure(grids))
    return found


def _describe(name: str, values: Mapping[str, float]) -> str:
    if name == "val/color_drift":
        drifts = ", ".join(f"{channel} {values[f'{name}_{channel}']:+.1f}" for channel in CHANNELS)
        return f"colour drift: SR differs from HR by {drifts} levels of 255 on average"
    if name == "val/checkerboard":
        return f"checkerboarding: a grid of dots of {values[name]:.2f} levels of 255 on flat regions"
    return f"discriminator dominance: its mean logits of HR and SR differ by {values[name]:.1f}"
