"""Ranks of the processes of one training, and sharing a text from rank 0 before there is a process group."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from facehall.errors import FacehallError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment
    from torch import distributed as dist

RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""Timeout for texts from rank 0 before there is a process group, whose own timeout the trainer sets."""

_stores: dict[str, dist.Store] = {}  # kept open: rank 0 serves the others as long as it lives


def rank() -> int:
    """Return this process's rank from its environment (torchrun, SLURM, Lightning's launcher), also before training."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


def broadcast_text(key: str, text: str) -> str:
    """Return rank 0's `text` on every rank, before there is a process group; in a single process, `text` itself.

    Under torchrun and SLURM a store serves it; a child of Lightning's launcher finds it in its environment. For values
    that may differ between processes: a time, the newest file of a folder.

    Raises:
        FacehallError: rank 0 does not answer, or SLURM's settings are invalid.
    """
    environment = _cluster_environment()
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
            f"Process {environment.global_rank()} of {environment.world_size()} cannot reach rank 0 at {where} "
            f"({str(error).splitlines()[0]}). Check that all processes have started and that the port (MASTER_PORT) is "
            "free and open."
        ) from error


def _cluster_environment() -> ClusterEnvironment | None:
    """Return the environment of torchrun or SLURM, or None if Lightning starts the processes."""
    if not any(name.startswith(("TORCHELASTIC_", "SLURM_")) for name in os.environ):
        return None  # skips importing Lightning, which takes seconds and which most commands do not need
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    try:
        for kind in (TorchElasticEnvironment, SLURMEnvironment):
            if kind.detect():
                return kind()
    except RuntimeError as error:  # invalid SLURM settings, with a hint
        raise FacehallError(str(error)) from None
    return None


def _store(environment: ClusterEnvironment) -> dist.Store:
    from torch import distributed as dist  # not above: sweeps and commands with a mistyped key need no torch

    address, port = environment.main_address, environment.main_port
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT") or os.environ.get("SLURM_RESTART_COUNT") or "0"
    if "store" not in _stores:
        server = environment.global_rank() == 0 and not agent
        # multi-tenant: the process group's own store shares the port
        store = dist.TCPStore(
            address, port, None, server, RENDEZVOUS_TIMEOUT, wait_for_workers=False, multi_tenant=True
        )
        _stores["store"] = dist.PrefixStore(f"facehall/{attempt}", store)
    return _stores["store"]
