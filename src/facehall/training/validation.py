"""Validation and test measures of the averaged generator and of bicubic, image by image."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import CatMetric, MeanMetric

from facehall.imaging import upscale_bicubic
from facehall.metrics import Protocol
from facehall.models.frozen import Frozen
from facehall.systems.rgb import as_rgb
from facehall.training.ema import GeneratorEMA


class MeasuredModule(L.LightningModule):
    """The measuring part of the training module.

    Args:
        protocol: the measures.
        ema: the averaged generator.
    """

    def __init__(self, protocol: Protocol, ema: GeneratorEMA) -> None:
        super().__init__()
        self.ema = ema
        self._protocol = Frozen(protocol)  # keeps LPIPS's network out of checkpoints
        self.means = nn.ModuleDict()
        self._bicubic: dict[str, dict[str, Tensor]] = {}

    @property
    def protocol(self) -> Protocol:
        return cast(Protocol, self._protocol.network)

    def forward(self, lr: Tensor) -> Tensor:
        """Super-resolve with the averaged generator: (B, 3, h, w) -> (B, 3, s h, s w), not clamped."""
        return as_rgb(self.ema.generator)(lr)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self._measure(batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self._measure(batch, "test/")

    def on_validation_epoch_end(self) -> None:
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        self._log_means("test")

    def _measure(self, batch: dict[str, Any], split: str = "") -> Tensor:
        """Add a batch to the means of the model and of bicubic; return the SR images for the callbacks."""
        lr, hr, key = batch["lr"], batch["hr"], split + "|".join(batch["name"])
        inputs = {name: value for name, value in batch.items() if name != "hr"}
        with torch.autocast(self.device.type, enabled=False):  # measure float32 inference
            if key not in self._bicubic:  # bicubic never changes: measured in the first epoch only
                self._bicubic[key] = self._protocol(upscale_bicubic(lr, self.ema.generator.scale), hr, **inputs)
            sr = self(lr)
            measured = self._protocol(sr, hr, **inputs)
        for prefix, found in (("", measured), ("bicubic_", self._bicubic[key])):
            for name, values in found.items():
                if name in self.protocol.pooled:
                    self._pool(prefix, name).update(values)
                    continue
                for mean, column in zip(self._means(prefix, name), values.reshape(len(sr), -1).unbind(1), strict=True):
                    mean.update(column)
        return sr

    def _means(self, prefix: str, measure: str) -> list[MeanMetric]:
        """Return the running means of a measure's statistics; most measures have one."""
        keys = [f"{prefix}{measure}"]
        if (width := self.protocol.statistic_counts[measure]) > 1:
            keys = [f"{keys[0]}[{i}]" for i in range(width)]
        for key in keys:
            if key not in self.means:
                self.means[key] = MeanMetric().to(self.device)
        return [cast(MeanMetric, self.means[key]) for key in keys]

    def _pool(self, prefix: str, measure: str) -> CatMetric:
        """Return the statistics of a pooled measure for the images seen so far, (N, K)."""
        key = f"{prefix}{measure}"
        if key not in self.means:
            self.means[key] = CatMetric().to(self.device)
        return cast(CatMetric, self.means[key])

    def _rows(self, measure: str, rows: Tensor | list[Tensor]) -> Tensor:
        """Return the pooled statistics as a tensor (N, K), also for no images."""
        width = self.protocol.statistic_counts[measure]
        return torch.zeros(0, width, device=self.device) if isinstance(rows, list) else rows

    def _log_means(self, stage: str) -> None:
        # A rank without images has no means yet, but must take part in gathering them.
        first = self.protocol.names[0]
        values: dict[str, Tensor] = {}
        for prefix in ("", "bicubic_"):
            pools = {name: self._pool(prefix, name) for name in self.protocol.names if name in self.protocol.pooled}
            means = {name: self._means(prefix, name) for name in self.protocol.names if name not in pools}
            found = {name: torch.stack([mean.compute() for mean in each]).squeeze() for name, each in means.items()}
            whole = self.protocol.of_set({name: self._rows(name, pool.compute()) for name, pool in pools.items()})
            both = self.protocol.figures(found) | whole
            values |= {f"{stage}/{prefix}{name}": both[name] for name in self.protocol.names}
            for mean in (*pools.values(), *(mean for each in means.values() for mean in each)):
                mean.reset()
        values[f"{stage}/{first}_gain"] = values[f"{stage}/{first}"] - values[f"{stage}/bicubic_{first}"]
        headline = f"{stage}/{first}"
        self.log(headline, values.pop(headline), prog_bar=True)
        self.log_dict(values)
