"""Gathering of tensors across the processes or data threads of one training, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable

from facehall.distributed.threads import ThreadGroup, current_group, thread_rank


def gather(x: Tensor) -> Tensor:
    """Gather each rank's tensor, (W, *x.shape), with gradients to all of them; (1, *x.shape) if there is one rank.

    Ranks are processes, or the threads of a `ThreadGroup` inside its `run`. Each rank's backward pass yields the
    gradient of the sum of all ranks' losses by its own part. DDP and `DataThreads` average these, which gives the
    gradient of the mean loss, as for the whole batch at once.
    """
    if (group := current_group()) is not None:
        threads: Tensor = _GatherThreads.apply(group, x)
        return threads
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


class _GatherThreads(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, group: ThreadGroup, x: Tensor) -> Tensor:
        ctx.group = group
        return torch.stack(group.exchange(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        own = thread_rank()
        parts = [grad[own] for grad in ctx.group.exchange(grads[0])]
        return None, torch.stack(parts).sum(0)
