"""Gathering of tensors across the processes of one training, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def gather(x: Tensor) -> Tensor:
    """Gather each rank's tensor, (W, *x.shape), with gradients to all of them; (1, *x.shape) in a single process.

    Each rank's backward pass yields the gradient of the sum of all ranks' losses by its own part. DDP averages these,
    which gives the gradient of the mean loss, as in one process with the whole batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x[None]
    return _gather(x)


@torch.compiler.disable
def _gather(x: Tensor) -> Tensor:
    gathered: Tensor = _Gather.apply(x)
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad[dist.get_rank()]
