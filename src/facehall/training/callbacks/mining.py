"""Patch mining statistics per epoch: threshold, rejections, and flatness of the accepted patches."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

QUANTILES = (0.1, 0.5, 0.9)


class MiningStatistics(L.Callback):
    """Log `mining/…` for batches with the flatness, rejections and threshold of their patches.

    `threshold`, `rejections` (mean number before each accepted patch), `rejection_rate` (share of all patches drawn),
    `flatness` (mean) with its 1st, 5th and 9th decile; W&B also gets the histogram of the flatness.
    """

    def __init__(self) -> None:
        self._seen: list[dict[str, Tensor]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self._seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seen = state_dict["seen"]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: dict[str, Any], batch_idx: int
    ) -> None:
        if "flatness" in batch:
            self._seen.append({name: batch[name].detach() for name in ("flatness", "rejections", "threshold")})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._seen:
            return
        flatness, rejections, threshold = (
            torch.cat([seen[name].to(pl_module.device) for seen in self._seen]) for name in self._seen[0]
        )
        self._seen.clear()
        values = {
            "threshold": threshold.mean(),
            "rejections": rejections.mean(),
            "rejection_rate": rejections.sum() / (rejections.sum() + len(rejections)),
            "flatness": flatness.mean(),
        }
        levels = flatness.quantile(flatness.new_tensor(QUANTILES))  # same dtype, also in float64 trainings
        values |= {f"flatness_p{q * 100:.0f}": level for q, level in zip(QUANTILES, levels, strict=True)}
        named = {f"mining/{name}": value for name, value in values.items()}
        pl_module.log_dict(named, on_epoch=True, sync_dist=trainer.world_size > 1)
        if isinstance(trainer.logger, WandbLogger) and trainer.is_global_zero:
            import wandb

            trainer.logger.experiment.log(
                {"mining/flatness_histogram": wandb.Histogram(flatness.tolist())}, commit=False
            )
