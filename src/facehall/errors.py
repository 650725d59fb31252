"""Exceptions reported to the user as one paragraph, and the exit statuses of commands."""

from __future__ import annotations

import signal

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as in shells
PEER_LOST = 200
"""Above every 128 + signal. A status above 130 tells a restart loop in a shell that restarting makes sense."""


class FacehallError(Exception):
    """An error that the user can fix.

    The message is one paragraph that names the file or key, what is wrong and what to do. The entry points print it
    and exit with `status`; all other exceptions keep their traceback.

    Attributes:
        status: 2.
    """

    status = USER_ERROR


class PeerLostError(FacehallError):
    """Another process of the same training died or does not respond; the previous checkpoint is intact.

    Args:
        text: the message, one paragraph.
        status: the other process's exit status, if it exited by itself; PEER_LOST if it was killed or is unresponsive.
    """

    def __init__(self, text: str, status: int = PEER_LOST) -> None:
        super().__init__(text)
        self.status = status


class StoppedBySignal(BaseException):
    """A signal requested termination, and the state was saved.

    The entry points print the message, one line on how to resume, and exit with `status`.

    Attributes:
        status: the exit status, 128 + the signal's number.
    """

    def __init__(self, text: str, received: signal.Signals | None) -> None:
        super().__init__(text)
        self.status = 128 + (received or signal.SIGTERM)
