"""The answers to single requests: what is refused, and how a picture's work is told to the page that waits for it."""

from __future__ import annotations

import functools
import io
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from facehall import __version__
from facehall.errors import FacehallError
from facehall.web.connection import Connection
from facehall.web.engine import Advance, Engine
from facehall.web.files import media_type, page_files
from facehall.web.jobs import BusyError, Job, Jobs
from facehall.web.work import FORMATS, Limits, Reply, find_faces, parse_options, restore

_log = logging.getLogger(__name__)

HEARTBEAT = 0.5
"""Seconds between two lines about a job, which also show whether somebody still waits for it."""
MAX_HEAD = 1 << 16
"""Bytes of a request before its body."""
MAX_NAME = 120
BODY_TYPE = "application/octet-stream"
"""Content-Type of pictures. A page of another origin can send it only after asking, which the server does not grant."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Site:
    """What is served.

    Attributes:
        engine: what restores the pictures.
        limits: what is accepted.
        jobs: the queue.
        hosts: names, in lower case, that requests may be addressed to. A page of another site whose name resolves to
            this machine (DNS rebinding) sends its own.
    """

    engine: Engine
    limits: Limits
    jobs: Jobs
    hosts: frozenset[str]

    @functools.cached_property
    def info(self) -> bytes:
        """Return what the page needs to know before the first picture, as JSON."""
        scales = [{"scale": scale, "fidelity": choice} for scale, choice in self.engine.scales.items()]
        limits = {"bytes": self.limits.bytes, "pixels": self.limits.pixels}
        engine = {"weights": self.engine.weights, "scales": scales, "faces": self.engine.finds_faces}
        return json.dumps({"version": __version__, **engine, "formats": list(FORMATS), "limits": limits}).encode()


class _RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """Answers one request and closes the connection. Its server has an attribute `site`."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "facehall", ""

    def setup(self) -> None:
        super().setup()
        self._connection = Connection(self.request)
        self._connection.restart(MAX_HEAD)
        self.rfile = io.BufferedReader(self._connection)
        self._site: Site = self.server.site  # type: ignore[attr-defined]

    def handle(self) -> None:
        """Answer the request; a client that is gone or too slow gets no answer."""
        try:
            super().handle()
        except OSError as error:
            _log.debug("%s: %s", self.client_address[0], error)

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.close_connection = True

    def handle_expect_100(self) -> bool:
        return True  # the body is asked for when it is read

    def do_GET(self) -> None:
        self._answer(self._page)

    def do_HEAD(self) -> None:
        self._answer(self._page)

    def do_POST(self) -> None:
        self._answer(self._work)

    def _answer(self, respond: Callable[[], None]) -> None:
        try:
            self._check_host()
            respond()
        except _RefusedError as refused:
            self._send(refused.status, json.dumps({"message": str(refused)}).encode(), "application/json")
            self._connection.drain()

    def _check_host(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or _host_name(hosts[0]) not in self._site.hosts:
            raise _RefusedError(
                HTTPStatus.FORBIDDEN,
                "This server answers to its own name only. Open the address that facehall serve printed; behind "
                "another name, start it with --allow-host NAME.",
            )

    def _page(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/info.json":
            self._send(HTTPStatus.OK, self._site.info, "application/json")
            return
        name = "index.html" if path == "/" else path.removeprefix("/")
        content = page_files().get(name)
        if content is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")
        self._send(HTTPStatus.OK, content, media_type(name))

    def _work(self) -> None:
        path, _, text = self.path.partition("?")
        site = self._site
        self._check_origin()
        try:
            query = dict(parse_qsl(text, max_num_fields=8))
            name = _printable(query.get("name", "")) or "picture"
            work: Callable[[bytes, Advance], Reply]
            if path == "/faces":
                work = lambda content, _: find_faces(site.engine, content, name, site.limits)  # noqa: E731
            elif path == "/restore":
                options, kind = parse_options(query, site.engine)
                work = lambda content, advance: restore(  # noqa: E731
                    site.engine, content, name, site.limits, options, kind, advance
                )
            else:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")
        except (FacehallError, ValueError) as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        length = self._length()
        try:
            job = site.jobs.reserve()
        except BusyError:
            raise _RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many pictures are waiting. Try again in a moment."
            ) from None
        with job:
            content = self._read_body(length)
            job.start(lambda advance: work(content, advance))
            self._report(job)

    def _check_origin(self) -> None:
        """Refuse what another site's page sends."""
        origin = self.headers.get("Origin")
        own = origin is None or _host_name(origin.partition("://")[2]) in self._site.hosts
        if not own or self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "Pictures are accepted from this server's own page only.")
        if self.headers.get("Content-Type") != BODY_TYPE:
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A picture is sent as {BODY_TYPE}.")

    def _length(self) -> int:
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not re.fullmatch("[0-9]{1,18}", lengths[0]) or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "The length of the picture must be sent first.")
        limit = self._site.limits.bytes
        if int(lengths[0]) > limit:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The file has {int(lengths[0]) / 1e6:.1f} MB; this page takes up to {limit / 1e6:g}. Use the command "
                "facehall upscale, which has no limit.",
            )
        return int(lengths[0])

    def _read_body(self, length: int) -> bytes:
        self._connection.restart()
        if self.headers.get("Expect", "").lower() == "100-continue":
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = self.rfile.read(length)
        if len(content) < length:
            raise ConnectionError("the connection ended before the picture did")
        return content

    def _report(self, job: Job) -> None:
        """Tell the client about its job until it ends, and send the result. Ends early if the client is gone."""
        self._connection.send(_head(HTTPStatus.OK, "application/octet-stream"))
        while not job.wait(HEARTBEAT):
            if job.share is None:
                self._line(state="waiting", ahead=job.ahead)
            else:
                self._line(state="running", share=round(job.share, 4))
        try:
            reply = job.result()
        except FacehallError as error:
            self._line(state="failed", message=str(error))
        except CancelledError:
            self._line(state="failed", message="facehall serve was stopped.")
        except Exception:
            _log.exception("a picture could not be processed")
            message = "This picture could not be processed. The terminal that runs facehall serve shows the reason."
            self._line(state="failed", message=message)
        else:
            self._line(state="done", bytes=len(reply.content), **reply.fields)
            self._connection.send(reply.content)

    def _line(self, **fields: Any) -> None:
        self._connection.send(json.dumps(fields).encode() + b"\n")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self._connection.send(_head(status, kind, len(content)) + (b"" if self.command == "HEAD" else content))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP, or has an unknown method."""
        self._connection.send(plain_response(code, "This request is not understood."))
        self._connection.drain()

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: requests carry the names of people's photographs."""


def plain_response(status: int, message: str) -> bytes:
    """Return a whole response with a message in JSON."""
    content = json.dumps({"message": message}).encode()
    return _head(status, "application/json", len(content)) + content


def _head(status: int, kind: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in SECURITY_HEADERS.items()]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _host_name(host: str) -> str:
    """Return the name in ``NAME:PORT``, in lower case. The port may differ, where another one is forwarded."""
    return re.sub(r":[0-9]{0,5}$", "", host.strip()).lower()


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:MAX_NAME]
