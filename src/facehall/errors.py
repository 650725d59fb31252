"""The exceptions that are meant for the person at the keyboard, and what commands end with."""

from __future__ import annotations

import signal

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PEER_LOST = 200
"""Above every 128 + signal. A status above 130 tells a loop in a shell that starting again makes sense."""


class FacehallError(Exception):
    """A mistake that the user can mend.

    Its text is one paragraph that names the file or key, says what is wrong and what to do about it. The entry
    points print that paragraph and exit with `status`; everything else keeps its traceback.

    Attributes:
        status: 2.
    """

    status = USER_ERROR


class PeerLostError(FacehallError):
    """Another process of the same training died or does not answer; the checkpoint of before is whole.

    Args:
        text: the paragraph.
        status: what the other process ended with, if it ended by itself; PEER_LOST if it was killed or is silent.
    """

    def __init__(self, text: str, status: int = PEER_LOST) -> None:
        super().__init__(text)
        self.status = status


class StoppedBySignal(BaseException):
    """A signal asked for the end, and everything is saved.

    The entry points print its text, one line that says how to go on, and exit with 128 and the signal's number.

    Attributes:
        status: that exit status.
    """

    def __init__(self, text: str, received: signal.Signals | None) -> None:
        super().__init__(text)
        self.status = 128 + (received or signal.SIGTERM)
