"""Synchronised batch norm that also runs on the CPU; torch's own needs GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from lightning.pytorch.plugins import LayerSync
from torch import Tensor, nn

from facehall.distributed.gathering import gather


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the equally large batches of all ranks: processes or data threads.

    The total variance is the mean of the ranks' variances plus the variance of their means. Gradients flow through the
    statistics to every rank's images. In eval mode and with a single rank it equals nn.BatchNorm2d.

    Shapes: (B, C, H, W) -> the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
        means, variances = gather(torch.stack([mean, variance])).unbind(1)  # (W, C) each
        if len(means) == 1:
            return super().forward(x)
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        self._update_running_statistics(mean.detach(), variance.detach(), len(means) * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt() * self.weight
        normal = (wide - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]
        return normal.to(x.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics, with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), share)


class SyncBatchNorm(LayerSync):
    """Convert a model's nn.BatchNorm2d to SyncedBatchNorm2d and back, in place: parameters and keys stay the same."""

    def apply(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SyncedBatchNorm2d
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) is SyncedBatchNorm2d:
                cast(nn.Module, module).__class__ = nn.BatchNorm2d
        return model


@contextmanager
def unsynchronized(model: nn.Module) -> Iterator[None]:
    """Replace a model's synchronised batch norms (ours and torch's) by plain ones, which wait for no other process."""
    synchronized = (SyncedBatchNorm2d, nn.SyncBatchNorm)
    layers: list[nn.Module] = [layer for layer in model.modules() if isinstance(layer, synchronized)]
    kinds = [type(layer) for layer in layers]
    for layer in layers:
        layer.__class__ = nn.BatchNorm2d
    try:
        yield
    finally:
        for layer, kind in zip(layers, kinds, strict=True):
            layer.__class__ = kind
