"""Several processes train one model: DDP that ends when one of them does, instead of waiting for ever."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from facehall.distributed.batch_norm import SyncBatchNorm
from facehall.distributed.ranks import PATIENCE, agree, rank
from facehall.errors import INTERRUPTED, PEER_LOST, PeerLostError

_log = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds between the end of one process and that of the others; in them the main thread may notice by itself."""

KNOWN = inspect.signature(DistributedDataParallel).parameters
_LOST = re.compile(
    r"gloo|NCCL|Connection (closed|reset|refused)|Timed out waiting|pair closure|Broken pipe", re.IGNORECASE
)


class DDP(DDPStrategy):
    """Lightning's DDP for two networks with two optimizers, which a dead or silent process ends.

    - `find_unused_parameters`, because each backward reaches one of the two networks.
    - Buffers are not broadcast: with synchronised batch norm (`trainer.sync_batchnorm`, here on CPUs too) they are
      equal anyway, and ranks whose shares of the validation images differ would meet in the wrong broadcast.
    - The end of one process ends the others within seconds, one that hangs within `timeout`: with a PeerLostError that
      says which. The command then ends with `PEER_LOST`, or with the other's own status if that ended by a mistake or
      an exception, so that a loop in a shell knows whether to start the command again.

    Args:
        timeout: seconds that processes wait for each other once all have started.
        options: of Lightning's DDPStrategy and torch's DistributedDataParallel.

    Raises:
        ValueError: `timeout` is not positive.
    """

    def __init__(self, timeout: float = 600, **options: Any) -> None:
        if timeout <= 0:
            raise ValueError(f"trainer.strategy.timeout is a number of seconds above 0, not {timeout}")
        self.seconds = timeout
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in KNOWN else "broadcast_buffers"  # torch < 2.15
        ours = {"find_unused_parameters": True, buffers: False}
        super().__init__(timeout=max(PATIENCE, timedelta(seconds=timeout)), **{**ours, **options})

    def setup_distributed(self) -> None:
        super().setup_distributed()  # with patience: some processes take longer to start than others
        set_timeout = getattr(dist, "set_timeout", dist.distributed_c10d._set_pg_timeout)  # torch < 2.15
        set_timeout(timedelta(seconds=self.seconds))

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup(self, trainer: L.Trainer) -> None:
        if self._layer_sync is not None and self.root_device.type == "cpu":
            self._layer_sync = SyncBatchNorm()
        super().setup(trainer)

    def on_exception(self, exception: BaseException) -> None:
        """End the other processes of this machine; where the exception is that they are gone, say so.

        Raises:
            PeerLostError: another process died or does not answer.
        """
        super().on_exception(exception)
        lost = isinstance(exception, RuntimeError) and is_loss(exception)
        error = self._launcher.end_others(look=lost) if isinstance(self._launcher, Launcher) else None
        if lost:
            raise error or PeerLostError(
                f"process {self.global_rank} of {self.world_size} has lost another one, which died or did not "
                f"answer for {self.seconds:g} seconds (trainer.strategy.timeout); what it said stands in its own "
                f"output. {GO_ON}"
            ) from exception


GO_ON = "A training goes on from its last checkpoint with the same command and resume=last."


def is_loss(error: RuntimeError) -> bool:
    """Whether the error is that of a process whose peers are gone."""
    return isinstance(error, dist.DistError) or _LOST.search(str(error)) is not None


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, which starts the other processes of a machine as children of the first, under watch.

    Lightning's own observer kills everything without a word when a child fails, and does not notice when the first
    process is killed.
    """

    def launch(self, function: Callable, *args: Any, trainer: L.Trainer | None = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            agree("pid", str(os.getpid()))
            self._call_children_scripts()
            atexit.register(self._wait)
            self._settled = threading.Event()
            threading.Thread(target=self._watch_children, daemon=True).start()
        elif (parent := int(agree("pid", "0"))) and rank() > 0:
            threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
        return function(*args, **kwargs)

    def end_others(self, look: bool) -> PeerLostError | None:
        """Kill the children; where one has ended by itself (`look` waits for it a while), an error that says so."""
        if not self.procs:
            return None
        self._settled.set()  # the main thread speaks, and not the watch
        deadline = time.monotonic() + (GRACE if look else 0)
        while (fallen := self._fallen()) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        self._kill()
        return None if fallen is None else PeerLostError(self._sentence(*fallen), exit_status(fallen[1]))

    def _watch_children(self) -> None:
        while any(process.poll() is None for process in self.procs) or self._fallen():
            if (fallen := self._fallen()) is not None:
                if not self._settled.wait(GRACE):  # the main thread waits for the dead one, and cannot be woken
                    _log.error("%s", self._sentence(*fallen))
                    self._kill()
                    os._exit(exit_status(fallen[1]))
                return
            time.sleep(0.2)

    def _fallen(self) -> tuple[int, int] | None:
        """Rank on this machine and status of a child that has ended with a status other than 0."""
        return next(((i, code) for i, process in enumerate(self.procs, 1) if (code := process.poll())), None)

    def _sentence(self, local_rank: int, status: int) -> str:
        how = f"ended with status {status}; what it said stands above"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        return f"process {local_rank} of {self.num_processes} {how}. The others are ended too. {GO_ON}"

    def _kill(self) -> None:
        for process in self.procs:
            process.kill()
            process.wait()

    def _wait(self) -> None:
        """Leave no child behind at the end of a training."""
        for process in self.procs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        self._kill()


def exit_status(child: int) -> int:
    """What the first process ends with when a child has ended.

    Args:
        child: its status as subprocess has it: negative for a signal.

    Returns:
        PEER_LOST if it was killed, except by Ctrl-C; otherwise its own, for a mistake is one the next time too.
    """
    if child < 0:
        return INTERRUPTED if -child == signal.SIGINT else PEER_LOST
    return child


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(GRACE)  # the main thread may notice by itself, and say so
    os._exit(1)
