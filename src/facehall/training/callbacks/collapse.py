"""Watches for the ways in which a GAN goes wrong that PSNR is slow to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.metrics.checkerboard import grid_energy
from facehall.training.module import SuperResolution

CHANNELS = ("red", "green", "blue")


class CollapseWatch(L.Callback):
    """Logs three measures each epoch, warns when one passes its limit, and on request ends the training then.

    `val/color_drift`: mean of SR - HR over all validation images, of the channel where it is largest, in levels of 255.
    `val/checkerboard`: the grid of dots that upsampling leaves in flat regions, as its standard deviation in levels of
    255 beyond what HR has of it (`facehall.metrics.checkerboard`). `train/D_gap`, which the module logs: mean logit of
    HR minus that of SR; at g the discriminator is right e^g times of e^g + 1, and learns no more.

    Args:
        color_drift, checkerboard, gap: limits; None does not warn.
        stop: a limit passed is an error that ends the training, whose last checkpoint is from before it.
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
        for name, value in found.items():
            pl_module.log(f"val/{name}", value)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = {name.removesuffix("_epoch"): float(value) for name, value in trainer.callback_metrics.items()}
        passed = {name for name, limit in self.limits.items() if limit is not None and values.get(name, 0) > limit}
        new, self._passed = sorted(passed - self._passed), passed
        for name in new:
            line = f"epoch {trainer.current_epoch + 1}: {_describe(name, values)} (limit {self.limits[name]:g})."
            if self.stop:
                raise FacehallError(f"{line} callbacks.collapse.stop=true ends the training here. {ADVICE[name]}")
            if trainer.is_global_zero:
                print(f"{line} {ADVICE[name]}", flush=True)

    def state_dict(self) -> dict[str, Any]:
        return {"passed": sorted(self._passed)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._passed = set(state_dict["passed"])


ADVICE = {
    "val/color_drift": "Give the pixels more weight (curriculum.gan.weights.pixel), or lower optimizer.generator.lr.",
    "val/checkerboard": "Give the perceptual and the adversarial term less weight (loss.gan), or a longer ramp.",
    "train/D_gap": "Lower optimizer.discriminator.lr, choose a smaller discriminator, or give it more pictures.",
}


def sums(sr: Tensor, hr: Tensor, scale: int) -> Tensor:
    """(7,): images, the sums of their colour drifts (3), images with a block to look at, grid energies of SR and HR."""
    sr = sr.float().clamp(0, 1)
    drift = (sr - hr).mean((-2, -1))
    grids = torch.stack([grid_energy(images, hr, scale) for images in (sr, hr)])
    seen = grids.isfinite().all(0)
    counts = [drift.new_full((1,), len(drift)), drift.sum(0), seen.sum()[None], grids[:, seen].sum(1)]
    return torch.cat(counts)


def measures(total: Tensor) -> dict[str, float]:
    """What the sums over all images come to, in levels of 255."""
    count, red, green, blue, seen, ours, theirs = total.tolist()
    drifts = [255 * drift / max(count, 1) for drift in (red, green, blue)]
    found = {f"color_drift_{name}": drift for name, drift in zip(CHANNELS, drifts, strict=True)}
    found["color_drift"] = max(map(abs, drifts))
    if seen:
        found["checkerboard"] = 255 * math.sqrt(max(0.0, ours - max(0.0, theirs)) / seen)
    return found


def _describe(name: str, values: Mapping[str, float]) -> str:
    if name == "val/color_drift":
        drifts = ", ".join(f"{channel} {values[f'{name}_{channel}']:+.1f}" for channel in CHANNELS)
        return f"the colours drift from those of HR by {drifts} levels of 255"
    if name == "val/checkerboard":
        return f"a grid of dots of {values[name]:.2f} levels of 255 lies on flat regions"
    return f"the discriminator wins by a gap of {values[name]:.1f} between its logits of HR and SR"
