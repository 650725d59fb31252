"""Distributed data-parallel training that ends when one process dies, instead of hanging."""

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
from facehall.distributed.ranks import RENDEZVOUS_TIMEOUT, broadcast_text, rank
from facehall.errors import INTERRUPTED, PEER_LOST, PeerLostError

_log = logging.getLogger(__name__)

GRACE_PERIOD = 10.0
"""Seconds between the end of one process and that of the others, in which the main thread may notice by itself."""

DDP_ARGUMENTS = inspect.signature(DistributedDataParallel).parameters
_PEER_LOSS = re.compile(
    r"gloo|NCCL|Connection (closed|reset|refused)|Timed out waiting|pair closure|Broken pipe", re.IGNORECASE
)


class DDP(DDPStrategy):
    """Lightning's DDP for two networks with two optimizers, with detection of dead and hanging processes.

    - `find_unused_parameters`, because each backward pass reaches one of the two networks.
    - Buffers are not broadcast: with synchronised batch norm (`trainer.sync_batchnorm`, here on CPUs too) they are
      equal anyway, and ranks with different numbers of validation images would run mismatched broadcasts.
    - A process that dies ends the others within seconds, one that hangs within `timeout`, with a PeerLostError that
      names it. The command then exits with `PEER_LOST`, or with the other's own status if that ended with a user
      mistake or an exception, so that a shell loop knows whether to restart the command.

    Args:
        timeout: seconds that processes wait for each other once all have started.
        options: passed to Lightning's DDPStrategy and torch's DistributedDataParallel.

    Raises:
        ValueError: `timeout` is not positive.
    """

    def __init__(self, timeout: float = 600, **options: Any) -> None:
        if timeout <= 0:
            raise ValueError(f"trainer.strategy.timeout must be a number of seconds above 0, not {timeout}")
        self.timeout_seconds = timeout
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in DDP_ARGUMENTS else "broadcast_buffers"
        defaults = {"find_unused_parameters": True, buffers: False}  # broadcast_buffers: torch < 2.15
        super().__init__(timeout=max(RENDEZVOUS_TIMEOUT, timedelta(seconds=timeout)), **{**defaults, **options})

    def setup_distributed(self) -> None:
        super().setup_distributed()  # with the long timeout: processes start at different times
        set_timeout = getattr(dist, "set_timeout", dist.distributed_c10d._set_pg_timeout)  # torch < 2.15
        set_timeout(timedelta(seconds=self.timeout_seconds))

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup(self, trainer: L.Trainer) -> None:
        if self._layer_sync is not None and self.root_device.type == "cpu":
            self._layer_sync = SyncBatchNorm()
        super().setup(trainer)

    def on_exception(self, exception: BaseException) -> None:
        """End the other processes of this machine, and report the loss of a process if that caused the exception.

        Raises:
            PeerLostError: another process died or does not answer.
        """
        super().on_exception(exception)
        lost = isinstance(exception, RuntimeError) and is_peer_loss(exception)
        error = self._launcher.kill_children(wait=lost) if isinstance(self._launcher, Launcher) else None
        if lost:
            raise error or PeerLostError(
                f"process {self.global_rank} of {self.world_size} lost contact with another process, which died or did "
                f"not answer for {self.timeout_seconds:g} seconds (trainer.strategy.timeout); see the output of that "
                f"process. {RESUME_HINT}"
            ) from exception


RESUME_HINT = "To resume from the last checkpoint, run the same command with resume=last."


def is_peer_loss(error: RuntimeError) -> bool:
    """Whether the error means that another process is gone."""
    return isinstance(error, dist.DistError) or _PEER_LOSS.search(str(error)) is not None


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, which starts a machine's other processes as children of the first, with monitoring.

    Lightning's own observer kills everything silently when a child fails, and does not notice when the first process is
    killed.
    """

    def launch(self, function: Callable, *args: Any, trainer: L.Trainer | None = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            broadcast_text("pid", str(os.getpid()))
            self._call_children_scripts()
            atexit.register(self._wait)
            self._handled = threading.Event()
            threading.Thread(target=self._watch_children, daemon=True).start()
        elif (parent := int(broadcast_text("pid", "0"))) and rank() > 0:
            threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
        return function(*args, **kwargs)

    def kill_children(self, wait: bool) -> PeerLostError | None:
        """Kill the children; return an error if one has failed by itself (`wait` gives it time to)."""
        if not self.procs:
            return None
        self._handled.set()  # the main thread reports, not the watcher
        deadline = time.monotonic() + (GRACE_PERIOD if wait else 0)
        while (failed := self._failed_child()) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        self._kill()
        return None if failed is None else PeerLostError(self._describe(*failed), exit_status(failed[1]))

    def _watch_children(self) -> None:
        while any(process.poll() is None for process in self.procs) or self._failed_child():
            if (failed := self._failed_child()) is not None:
                if not self._handled.wait(GRACE_PERIOD):  # the main thread is blocked by the dead process
                    _log.error("%s", self._describe(*failed))
                    self._kill()
                    os._exit(exit_status(failed[1]))
                return
            time.sleep(0.2)

    def _failed_child(self) -> tuple[int, int] | None:
        """Return the local rank and status of a child that ended with a status other than 0, or None."""
        return next(((i, code) for i, process in enumerate(self.procs, 1) if (code := process.poll())), None)

    def _describe(self, local_rank: int, status: int) -> str:
        how = f"ended with status {status}; see its output above"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        return f"process {local_rank} of {self.num_processes} {how}. The other processes are ended too. {RESUME_HINT}"

    def _kill(self) -> None:
        for process in self.procs:
            process.kill()
            process.wait()

    def _wait(self) -> None:
        """Wait for the children at the end of a training, and kill those that are left."""
        for process in self.procs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_PERIOD)
        self._kill()


def exit_status(child: int) -> int:
    """Return the exit status of the first process after a child has failed.

    Args:
        child: status of the child as in subprocess: negative for a signal.

    Returns:
        PEER_LOST if it was killed, except by Ctrl-C; otherwise its own status, since a mistake would recur.
    """
    if child < 0:
        return INTERRUPTED if -child == signal.SIGINT else PEER_LOST
    return child


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(GRACE_PERIOD)  # the main thread may notice and report it
    os._exit(1)
