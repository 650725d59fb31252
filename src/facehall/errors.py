"""The exceptions that are meant for the person at the keyboard, and what commands end with."""

from __future__ import annotations

import signal

USER_MISTAKE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class FacehallError(Exception):
    """A mistake that the user can mend.

    Its text is one paragraph that names the file or key, says what is wrong and what to do about it. The entry
    points print that paragraph and exit with status 2; everything else keeps its traceback.
    """


class Stopped(BaseException):
    """A signal asked for the end, and everything is saved.

    The entry points print its text, one line that says how to go on, and exit with 128 and the signal's number.

    Attributes:
        status: that exit status.
    """

    def __init__(self, text: str, received: signal.Signals | None) -> None:
        super().__init__(text)
        self.status = 128 + (received or signal.SIGTERM)
