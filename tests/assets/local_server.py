"""A web server on this machine that can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `data` with ranges and an ETag.

    `behave(handler, number of the request)` may take over an answer; `requests` keeps the Range headers.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.etag: str | None = '"one"'
        self.behave: Callable[[BaseHTTPRequestHandler, int], bool] = lambda handler, number: False
        self.requests: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                server.requests.append(self.headers.get("Range"))
                if not server.behave(self, len(server.requests)):
                    server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.bin"

    def answer(
        self,
        handler: BaseHTTPRequestHandler,
        *,
        ranges: bool = True,
        length: bool = True,
        cut: int | None = None,
    ) -> None:
        """A correct answer; `cut` closes the connection after so many bytes of the body."""
        start, wanted = 0, handler.headers.get("Range")
        if ranges and wanted and handler.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.data):
                handler.send_error(416)
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        else:
            handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(len(self.data) - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(self.data[start:][:cut])

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
