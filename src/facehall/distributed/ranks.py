"""What the processes of one training do together before there is a process group: know their rank, agree on a text."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from torch import distributed as dist

from facehall.errors import FacehallError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment

PATIENCE = timedelta(minutes=10)
"""How long to wait for what rank 0 says before there is a process group, whose own timeout the trainer sets."""

_stores: dict[str, dist.Store] = {}  # rank 0 serves the others as long as it lives


def rank() -> int:
    """The rank of this process by its environment (torchrun, SLURM, Lightning's launcher), also before a training."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


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
    if not any(name.startswith(("TORCHELASTIC_", "SLURM_")) for name in os.environ):
        return None  # before Lightning, which takes seconds to import and most commands do without
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

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
