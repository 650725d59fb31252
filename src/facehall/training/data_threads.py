"""Data-parallel threads: each computes the passes of a step on its slice of the batch, in one process.

Kernels of small images leave part of a core idle at every operation's start and end. Two threads that each run whole
passes meet once per pass instead of once per operation. They share the parameters; gradients and buffers are their own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facehall.distributed.batch_norm import SyncBatchNorm, SyncedBatchNorm2d
from facehall.distributed.threads import ThreadGroup
from facehall.errors import FacehallError
from facehall.training.passes import Batch, Passes

Module = TypeVar("Module", bound=nn.Module)
Result = TypeVar("Result")


class DataThreads:
    """Runs passes on equal slices of a batch, one thread each; with a count of 1, in the calling thread.

    Losses are means over the whole batch, as in data-parallel processes: a term that couples images exchanges its
    statistics with `facehall.distributed.gathering.gather`. Results are reproducible bit by bit, since every thread
    runs its operations in order and gradients are summed by rank. Lightning's hooks around the backward pass
    (on_before_backward, on_after_backward) run only with a count of 1.

    Args:
        passes: of the live networks, used by rank 0; the other ranks get replicas.
        count: number of threads; they share the process's intra-op threads.
        precision: factory of the context in which passes run; autocast applies to one thread only.
    """

    def __init__(
        self,
        passes: Passes,
        count: int,
        precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.passes = [passes, *(replicate(passes) for _ in range(count - 1))]
        self._group = ThreadGroup(count, max(1, torch.get_num_threads() // count)) if count > 1 else None
        self._precision = precision
        self._buffers = [[buffer for part in each.modules for buffer in part.buffers()] for each in self.passes]

    def __len__(self) -> int:
        return len(self.passes)

    def slices(self, batch: Batch) -> list[Batch]:
        """Return each thread's slice of a new batch, and give all replicas the live networks' buffers."""
        if self._group is None:
            return [batch]
        live, *replicas = self._buffers
        for buffers in replicas if live else []:
            torch._foreach_copy_(buffers, live)
        return slice_batch(batch, len(self))

    def run(self, function: Callable[[Passes, int], Result]) -> list[Result]:
        """Call ``function(passes, rank)`` on every thread; return the results by rank.

        Raises:
            FacehallError: it used torch's random numbers, which threads would draw in any order.
        """
        if self._group is None:
            return [function(self.passes[0], 0)]

        def with_precision(rank: int) -> Result:
            with self._precision():
                return function(self.passes[rank], rank)

        before = torch.get_rng_state()
        results = self._group.run(with_precision)
        if not torch.equal(before, torch.get_rng_state()):
            raise FacehallError(
                f"runtime.data_threads={len(self)}: a network or loss term draws random numbers in a training step "
                "(dropout, noise), whose order on threads is not reproducible. Set runtime.data_threads=1."
            )
        return results

    @torch.no_grad()
    def sum_gradients(self, network: str) -> None:
        """Add the replicas' gradients of a network, ``generator`` or ``discriminator``, to the live ones, by rank."""
        live, *replicas = (list(getattr(passes, network).parameters()) for passes in self.passes)
        for replica in replicas:
            pairs = [(own, other.grad) for own, other in zip(live, replica, strict=True) if other.grad is not None]
            both = [(own.grad, grad) for own, grad in pairs if own.grad is not None]
            if both:
                torch._foreach_add_([own for own, _ in both], [grad for _, grad in both])
            for own, grad in pairs:
                if own.grad is None:
                    own.grad = grad
            for other in replica:
                other.grad = None

    def close(self) -> None:
        """End the threads."""
        if self._group is not None:
            self._group.close()


def replicate(passes: Passes) -> Passes:
    """Return passes with the same parameters in memory, but gradients, buffers and modes of their own."""
    return replace(
        passes,
        generator=_replica(passes.generator),
        discriminator=None if passes.discriminator is None else _replica(passes.discriminator),
        losses=_replica(passes.losses),
        discriminator_losses=_replica(passes.discriminator_losses),
    )


def _replica(module: Module) -> Module:
    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, shared)


def slice_batch(batch: Batch, count: int) -> list[Batch]:
    """Split every entry of a batch, tensors (B, …) and lists of B, into `count` equal slices; tensors are views.

    Raises:
        FacehallError: `count` does not divide B.
    """
    size = len(batch["name"])
    if size % count:
        raise FacehallError(
            f"runtime.data_threads={count} does not divide a batch of {size}: choose patches.batch_size as a multiple."
        )
    part = size // count
    return [{key: value[i : i + part] for key, value in batch.items()} for i in range(0, size, part)]


def mean_by_name(values: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means of scalars over the threads."""
    if len(values) == 1:
        return values[0]
    return {name: torch.stack([each[name].detach() for each in values]).mean() for name in values[0]}


def synchronize_batch_norm(name: str, network: nn.Module) -> None:
    """Replace a network's batch norm by one whose statistics span all threads, in place.

    Args:
        name: of the network, for messages.

    Raises:
        ValueError: a kind of batch norm other than nn.BatchNorm2d.
    """
    SyncBatchNorm().apply(network)
    for path, layer in network.named_modules():
        if isinstance(layer, _BatchNorm) and type(layer) is not SyncedBatchNorm2d:
            raise ValueError(
                f"runtime.data_threads: {path} of the {name} is a {type(layer).__name__}, whose statistics would be "
                "those of one thread's slice; of the batch norms only nn.BatchNorm2d is supported. Set "
                "runtime.data_threads=1"
            )
