"""Stop signals: SIGTERM, Ctrl-C, and those sent by schedulers and closing terminals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

STOP_MESSAGE = "\nfacehall: {}: stopping after this step, with a checkpoint. Press Ctrl-C to stop at once.\n"
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")  # not all of them exist on Windows


class StopSignals:
    """Record the first stop signal, so that a training can stop at a consistent point.

    A Ctrl-C after that raises KeyboardInterrupt at once; the next one ends the process unconditionally. A signal that
    was already ignored (nohup) stays ignored.

    Attributes:
        received: the signal, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Install the handlers; do nothing outside the main thread, where Python allows none."""
        if threading.current_thread() is not threading.main_thread() or self._previous:
            return
        self.received = None
        for name in STOP_SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Restore the previous handlers."""
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            with suppress(OSError):  # no print: the signal may have interrupted one
                os.write(2, STOP_MESSAGE.format(self.received.name).encode())
        elif number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt


def ignore_group_signals(worker: int, worker_init_fn: Callable[[int], None] | None = None) -> None:
    """Make a DataLoader worker ignore stop signals, except SIGTERM from the training process; a `worker_init_fn`.

    Terminals and schedulers signal whole process groups. A worker that died of it would break the step that the
    training is to finish.

    Args:
        worker: worker number, from the DataLoader.
        worker_init_fn: called afterwards.
    """
    for name in ("SIGINT", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux; elsewhere any SIGTERM ends the worker
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_sigterm_from_parent, daemon=True).start()
    if worker_init_fn is not None:
        worker_init_fn(worker)


def _exit_on_sigterm_from_parent() -> None:
    """Exit on a SIGTERM from the parent, and ignore others."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():  # type: ignore[attr-defined,unused-ignore]
        pass
    os._exit(0)
