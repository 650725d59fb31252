"""The HTTP server of `facehall serve`: the standard library's, for a browser on this machine.

A picture is the body of a POST request, and the response tells how the work goes and then carries the result. So the
connection is the job: nothing is stored, no request names anything on this machine, and a closed tab ends its job.

    GET  /, /style.css, …             the page, a fixed list of files
    GET  /info.json                   what the engine offers, and the limits
    POST /faces?name=NAME             find faces
    POST /restore?name=NAME&scale=4   restore; also fidelity, faces, format

Responses to POST are lines of JSON, {"state": "waiting", "ahead": 1} or {"state": "running", "share": 0.25}, one in
half a second, up to {"state": "failed", "message": …} or {"state": "done", "bytes": n, …}, which n bytes follow.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import threading
from collections.abc import Iterable
from http.server import ThreadingHTTPServer
from typing import Any

from facehall.errors import FacehallError
from facehall.web.engine import Engine
from facehall.web.handler import Handler, Site, plain_response
from facehall.web.jobs import Jobs
from facehall.web.work import Limits

_log = logging.getLogger(__name__)

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class PageServer(ThreadingHTTPServer):
    """Serves the page and does its work.

    Args:
        engine: what restores the pictures.
        host: address to listen on.
        port: 0 takes a free one.
        limits: see `Limits`.
        names: further names that requests may be addressed to, for servers that are reached by another one.

    Attributes:
        site: what is served.
        url: the address of the page.

    Raises:
        FacehallError: if the address cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        engine: Engine,
        host: str = "127.0.0.1",
        port: int = 8000,
        limits: Limits | None = None,
        names: Iterable[str] = (),
    ) -> None:
        limits = limits or Limits()
        hosts = frozenset({*LOOPBACK_NAMES, _bracketed(host), *(name.lower() for name in names)})
        self.site = Site(engine, limits, Jobs(limits.jobs), hosts)
        self._connections = threading.Semaphore(limits.connections)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FacehallError(f"Cannot listen on {host}, port {port}: {reason}. Choose another --port.") from None
        self.url = f"http://{_bracketed(host)}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's also looks up the host's name, which may take seconds

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, of which there is a limited number."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            request.settimeout(1)
            request.sendall(plain_response(503, "Too many connections. Try again in a moment."))
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection; the server goes on."""
        _log.debug("a connection broke", exc_info=True)

    def server_close(self) -> None:
        """Stop listening, cancel the work and wait for its end."""
        super().server_close()
        self.site.jobs.close()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()
