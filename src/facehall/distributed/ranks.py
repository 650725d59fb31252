"""What the processes of one training do together: see the whole batch, agree on a text, and not talk all at once."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from torch import Tensor
from torch import distributed as dist

from facehall.errors import FacehallError

PATIENCE = timedelta(minutes=10)
"""How long to wait for what rank 0 says before there is a process group, whose own timeout the trainer sets."""

_stores: dict[str, dist.Store] = {}  # rank 0 serves the others as long as it lives


def rank() -> int:
    """The rank of this process by its environment (torchrun, SLURM, Lightning's launcher), also before a training."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


def gather(x: Tensor) -> Tensor:
    """Each rank's tensor, (W, *x.shape), with gradients to all of them; (1, *x.shape) in a single process.

    DDP averages the gradients of the ranks' losses. So each rank's backward gives the gradient of the sum of all
    losses by its own part, and what comes out is the gradient of the mean loss, as of one process with the whole batch.
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


def agree(key: str, text: str) -> str:
    """What rank 0 gives as `text`, on every rank, before there is a process group. A single process agrees with itself.

    Under torchrun and SLURM a store serves it; a child of Lightning's launcher finds it in its environment. What
    differs between processes (a time, the newest file of a folder) is to be asked for here.

    Raises:
        FacehallError: rank 0 does not answer, or SLURM's settings do not fit.
    """
    environment = _external()
    name = f"FACEHALL_RANK0_{key.upper()}"
    if environment is None:
        if "LOCAL_RANK" in os.environ and rank() > 0:
            return os.environ.get(name, text)
        os.environ[name] = text
        return text
    if environment.world_size() == 1:
        return text
    try:
        store = _store(environment)
        if environment.global_rank() == 0:
            store.set(name, text)
        return str(store.get(name).decode())
    except (RuntimeError, ValueError) as error:
        where = f"{environment.main_address}:{environment.main_port}"
        raise FacehallError(
            f"Process {environment.global_rank()} of {environment.world_size()} cannot reach the first one at {where} "
            f"({str(error).splitlines()[0]}). Have all processes started, and is the port free and open (MASTER_PORT)?"
        ) from error


def _external() -> ClusterEnvironment | None:
    """What has started the processes, where it was not Lightning."""
    try:
        for kind in (TorchElasticEnvironment, SLURMEnvironment):
            if kind.detect():
                return kind()
    except RuntimeError as error:  # of SLURM's settings, with a hint
        raise FacehallError(str(error)) from None
    return None


def _store(environment: ClusterEnvironment) -> dist.Store:
    address, port = environment.main_address, environment.main_port
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT") or os.environ.get("SLURM_RESTART_COUNT") or "0"
    if "store" not in _stores:
        server = environment.global_rank() == 0 and not agent
        # multi-tenant: the process group's own store meets this one at the same port
        store = dist.TCPStore(address, port, None, server, PATIENCE, wait_for_workers=False, multi_tenant=True)
        _stores["store"] = dist.PrefixStore(f"facehall/{attempt}", store)
    return _stores["store"]
