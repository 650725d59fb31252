"""A single HTTP transfer into a .part file, with bounded connection time, resuming where the last one stopped."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from facehall.errors import FacehallError
from facehall.io.partial import Partial

_CHUNK = 1 << 18
_MIN_BYTES_PER_SECOND = 256  # a connection slower than this over a whole timeout counts as stalled


class BrokenTransferError(Exception):
    """The transfer was interrupted; another attempt may resume it."""


class UnreachableError(BrokenTransferError):
    """The server could not be reached."""


class StaleError(Exception):
    """The .part file does not match the file on the server: start again."""


def transfer(
    url: str,
    part: Partial,
    connect_timeout: float,
    timeout: float,
    on_progress: Callable[[int, int | None], None],
) -> bool:
    """Append the missing bytes of `url` to `part`; return True if the server sent the length, so it is complete.

    Args:
        url: http or https address.
        part: the bytes received so far.
        connect_timeout: seconds until the server must start to answer.
        timeout: seconds without data after which the connection is dropped.
        on_progress: called with the bytes received so far and, if the server sent it, the file's size.

    Raises:
        BrokenTransferError, StaleError: if another attempt may succeed.
        FacehallError: if another attempt cannot succeed.

    """
    response = _request(url, part, connect_timeout, timeout)
    with response:
        if response.status == 206:
            have, total = _check_continuation(response, part)
        else:  # a new download, a server without range support, or a changed file
            length = response.headers.get("Content-Length")
            have, total = 0, int(length) if length else None
            part.restart(_validator(response))
        _check_space(part, (total or 0) - have)
        with part.path.open("ab") as file:
            for block in _blocks(response, timeout):
                file.write(block)
                have += len(block)
                on_progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise BrokenTransferError(f"the connection closed after {have} of {total} bytes")
    if total is not None and have > total:
        raise StaleError
    return total is not None or response.chunked  # a chunked body marks its own end


def _request(url: str, part: Partial, connect_timeout: float, timeout: float) -> HTTPResponse:
    """Return the response, with status 200 or 206."""
    headers = {"User-Agent": "facehall", "Accept-Encoding": "identity"}
    if validator := part.validator:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": validator}
    try:
        response = _open(Request(url, headers=headers), connect_timeout, timeout)
    except HTTPError as error:
        with error:
            if error.code == 416:  # nothing after our last byte: the part is complete or belongs to another file
                raise StaleError from error
            if error.code in (408, 429) or error.code >= 500:
                raise BrokenTransferError(f"the server answered {error.code} {error.reason}") from error
            raise FacehallError(f"Cannot download {url}: the server answered {error.code} {error.reason}.") from error
    if response.status != 200 and not (response.status == 206 and validator):
        response.close()
        raise FacehallError(f"Cannot download {url}: unexpected response {response.status} {response.reason}.")
    return response


def _open(request: Request, connect_timeout: float, timeout: float) -> HTTPResponse:
    """Call `urlopen`, but give up after `connect_timeout` s in total.

    A socket timeout is not sufficient: it restarts for each address of the host and does not cover name resolution.
    The connection is therefore opened in a thread, which is abandoned if it takes too long.
    """
    answer: queue.Queue[HTTPResponse | Exception] = queue.Queue()
    abandoned = threading.Event()

    def connect() -> None:
        try:
            response = urlopen(request, timeout=timeout)
        except Exception as error:  # raised in the caller below
            answer.put(error)
            return
        answer.put(response)
        if abandoned.is_set():
            response.close()

    threading.Thread(target=connect, daemon=True, name="facehall-connect").start()
    try:
        result = answer.get(timeout=connect_timeout)
    except queue.Empty:
        abandoned.set()
        raise UnreachableError(f"no answer from {request.host} in {connect_timeout:g} s") from None
    if isinstance(result, HTTPError):
        raise result
    if isinstance(result, (OSError, HTTPException)):  # URLError is an OSError
        reason = getattr(result, "reason", None) or result or type(result).__name__
        raise UnreachableError(f"{request.host} cannot be reached ({reason})") from result
    if isinstance(result, Exception):
        raise result
    return result


def _check_continuation(response: HTTPResponse, part: Partial) -> tuple[int, int | None]:
    """Return (bytes received, size of the file or None) for a 206 response: `Content-Range: bytes 100-199/200`."""
    have = part.size
    try:
        span, total = response.headers["Content-Range"].removeprefix("bytes ").split("/")
        start = int(span.split("-")[0])
        size = None if total == "*" else int(total)
    except (AttributeError, ValueError) as error:
        raise StaleError from error
    known = (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    changed = any(known) and part.validator not in known  # some servers ignore If-Range
    if start != have or changed:
        raise StaleError
    return have, size


def _validator(response: HTTPResponse) -> str | None:
    return response.headers.get("ETag") or response.headers.get("Last-Modified")


def _blocks(response: HTTPResponse, timeout: float) -> Iterator[bytes]:
    """Yield the body as it arrives; raise BrokenTransferError if it stops or stalls."""
    mark, received = time.monotonic(), 0
    while True:
        try:
            block = response.read1(_CHUNK)
        except (OSError, HTTPException) as error:
            raise BrokenTransferError(f"no more data arrived ({str(error) or type(error).__name__})") from error
        if not block:
            return
        yield block
        received += len(block)
        if (passed := time.monotonic() - mark) >= timeout:
            if received < passed * _MIN_BYTES_PER_SECOND:
                raise BrokenTransferError(f"only {received} bytes arrived in {passed:.0f} s")
            mark, received = time.monotonic(), 0


def _check_space(part: Partial, needed: int) -> None:
    folder = part.path.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FacehallError(
            f"Not enough space in {folder}: {needed / 1e6:.1f} MB more are needed, {free / 1e6:.1f} MB are free. "
            "Free some space or choose another folder, then run the same command again."
        )
