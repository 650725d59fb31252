"""Local HTTP server for tests, with fault injection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1 << 15


class Server:
    """Serves `data`, or the entry of `files` named by the end of the URL, with ranges and an ETag.

    `behave(handler, request number)` may answer a request instead and then returns True; `requests` records the Range
    headers; `pause` is the time in s between two blocks of a response.
    """

    def __init__(self, data: bytes = b"", files: dict[str, bytes] | None = None, pause: float = 0) -> None:
        self.data = data
        self.files = files or {}
        self.pause = pause
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
        self.http.handle_error = lambda *about: None  # killed clients are expected
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
        """Answer correctly; `cut` closes the connection after this many bytes of the body."""
        data = self.files.get(handler.path.rpartition("/")[2], self.data)
        start, wanted = 0, handler.headers.get("Range")
        if ranges and wanted and handler.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                handler.send_error(416)
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(len(data) - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        body = memoryview(data)[start:][:cut]
        for begin in range(0, len(body), BLOCK):
            handler.wfile.write(body[begin : begin + BLOCK])
            time.sleep(self.pause)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
