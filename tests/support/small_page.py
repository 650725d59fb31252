"""A server of the page with a tiny network, and requests to it."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from small import write_weights

from facehall.imaging import Picture
from facehall.web.engine import Face, Options, PredictorEngine
from facehall.web.server import PageServer
from facehall.web.work import Limits

FACE_NOTE = "too small"


class SmallEngine(PredictorEngine):
    """Enlarges twice, finds two faces in every picture, and works as long as `gate` is closed.

    Attributes:
        gate: open (set) but for tests of waiting.
        running: set while a picture is restored.
        asked: the options it was called with.
    """

    finds_faces = True

    def __init__(self, folder: Path) -> None:
        file = write_weights(folder / "generator_ema.safetensors")
        write_weights(folder / "generator_psnr.safetensors")
        super().__init__(str(file), "cpu", "eager")
        self.gate, self.running = threading.Event(), threading.Event()
        self.gate.set()
        self.asked: list[Options] = []

    def faces(self, picture: Picture) -> list[Face]:
        height, width = picture.rgb.shape[:2]
        first = Face((width * 0.5, height * 0.2, width * 0.9, height * 0.8))
        return [first, Face((0, 0, 9, 9), False, FACE_NOTE), Face((9, 9, 18, 18))]

    def restore(self, picture: Picture, options: Options, advance: Any) -> Picture:
        self.asked.append(options)
        self.running.set()
        try:
            while not self.gate.wait(0.01):
                advance(0.25)
            return super().restore(picture, options, advance)
        finally:
            self.running.clear()


class Site:
    """A running server. A context manager."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.engine = SmallEngine(folder)
        self.server = PageServer(self.engine, port=0, limits=limits)
        self.address = self.server.server_address
        self.url = self.server.url
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        return self.request(method, path, None, headers)

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, list[dict[str, Any]], bytes]:
        """Return status, lines and content of an answer; of an error, its message as the only line."""
        given = {"Content-Type": "application/octet-stream", **headers}
        status, answer = self.request("POST", path, body, given)
        if status != 200:
            return status, [json.loads(answer)], b""
        return status, *parse(answer)

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def raw(self, data: bytes, timeout: float = 30) -> bytes:
        """Send bytes and return all that is answered."""
        with socket.create_connection(self.address, timeout) as connection:
            connection.sendall(data)
            answer = b""
            while block := connection.recv(1 << 16):
                answer += block
            return answer


def parse(answer: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Return the lines and the content of an answer to a picture."""
    lines = []
    while answer:
        line, _, answer = answer.partition(b"\n")
        lines.append(json.loads(line))
        if lines[-1]["state"] in ("done", "failed"):
            break
    return lines, answer


def noise(width: int = 24, height: int = 16, seed: int = 0, mode: str = "RGB") -> Image.Image:
    channels = len(mode)
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()
