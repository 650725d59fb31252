"""A client's socket as a file that neither a slow nor an endless sender can keep open."""

from __future__ import annotations

import io
import socket
import time

GRACE = 10.0
"""Seconds that a client may take however little it sends or receives."""
RATE = 50_000
"""Bytes a second that it must send or receive after that."""
BLOCK = 1 << 18
LINGER = 2.0
"""Seconds for which the rest of a refused request is read and dropped."""


class SlowClientError(OSError):
    """The client sends or receives less than it must."""


class Connection(io.RawIOBase):
    """The reading side of a socket with a deadline, which every received byte extends.

    Args:
        connection: a connected socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.restart()

    def restart(self, limit: int | None = None) -> None:
        """Begin a new part of the request, with a deadline of its own.

        Args:
            limit: bytes after which reading ends as if the client had closed the connection; None: any number.
        """
        self._started, self._received, self._limit = time.monotonic(), 0, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        room = len(buffer) if self._limit is None else min(len(buffer), self._limit - self._received)
        if room <= 0:
            return 0
        self._socket.settimeout(_time_left(self._started, self._received))
        try:
            count = self._socket.recv_into(buffer, room)
        except TimeoutError:
            raise SlowClientError("the request arrives too slowly") from None
        self._received += count
        return count

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; raise SlowClientError if it is taken too slowly, another OSError if nobody takes it."""
        started, view = time.monotonic(), memoryview(data)
        for begin in range(0, len(view), BLOCK):
            self._socket.settimeout(_time_left(started, begin))
            try:
                self._socket.sendall(view[begin : begin + BLOCK])
            except TimeoutError:
                raise SlowClientError("the response is taken too slowly") from None

    def drain(self) -> None:
        """Read and drop what still arrives for a moment, as closing before would reset the connection and might take
        the response with it.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + LINGER
            while (left := end - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(BLOCK):
                    return
        except OSError:
            pass


def _time_left(started: float, transferred: int) -> float:
    left = started + GRACE + transferred / RATE - time.monotonic()
    if left <= 0:
        raise SlowClientError("the connection is too slow")
    return left
