"""Being asked to stop: SIGTERM, Ctrl-C, and what else a scheduler or a closing terminal sends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

ASKED = "\nfacehall: {}: stopping after this step, with a checkpoint. Ctrl-C stops at once.\n"
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")  # not all of them on Windows


class StopSignals:
    """Notes the first signal that asks for the end, so that a training can stop where it is whole.

    A Ctrl-C that follows raises KeyboardInterrupt at once; another one ends the process whatever it does. A signal
    that was ignored before (nohup) stays so.

    Attributes:
        received: the signal, None while there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the signals; elsewhere than in the main thread, where Python has none, do nothing."""
        if threading.current_thread() is not threading.main_thread() or self._before:
            return
        self.received = None
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)

    def restore(self) -> None:
        """Give them back as they were."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            with suppress(OSError):  # no print: the signal may have come in the middle of one
                os.write(2, ASKED.format(self.received.name).encode())
        elif number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt


def heed_the_parent_alone(worker: int, then: Callable[[int], None] | None = None) -> None:
    """A worker process's start: it leaves signals to the training process, which it serves until that lets it go.

    Terminals and schedulers signal whole groups of processes. A DataLoader whose worker dies of it would break the
    step that the training wants to finish.

    Args:
        worker: its number, which a DataLoader hands to its `worker_init_fn`.
        then: what else to start with.
    """
    for name in ("SIGINT", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux; elsewhere SIGTERM ends it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if then is not None:
        then(worker)


def _end_with_parent() -> None:
    """SIGTERM counts if it comes from the parent."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():  # type: ignore[attr-defined,unused-ignore]
        pass
    os._exit(0)
