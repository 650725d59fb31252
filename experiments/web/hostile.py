"""Hostile requests to `facehall serve`: the answers, the files that the server touches, the memory that it takes.

    python experiments/web/hostile.py

The server runs in a process of its own that records every file it opens, renames, removes or links after its start
(Python's audit events): once as it is by default, finding faces, and once with --no-faces. Writes hostile.csv beside
this file and prints a summary; exits with 1 if a server failed.
"""

from __future__ import annotations

import collections
import csv
import http.client
import io
import json
import multiprocessing
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from facehall.cli.experiments import experiment_parser

FILE_EVENTS = ("open", "os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "shutil.copyfile")
TYPE = {"Content-Type": "application/octet-stream"}
GIGABYTE = 1_000_000_000
SYSTEM = ("/proc/meminfo", "/proc/self/statm", "/sys/fs/cgroup")
"""What the tiler reads to learn how much memory is free."""
AT_ONCE = 50
MARK = Path("executed").absolute()
"""The file that code in a picture would create."""

Answer = str
Attack = tuple[str, str, Callable[[tuple[str, int]], Answer]]
"""Kind, description, and the function that carries it out and returns the answer in a few words."""
Row = tuple[str, str, str, Answer, int]
"""Of the results: the engine, the kind and description of the attack, the answer, the peak memory so far in MB."""


def serve(pipe: Connection, faces: bool) -> None:
    """Run the server and send its address, then the files it touched as soon as something arrives."""
    from facehall.web.engine import Engine, Options, PredictorEngine
    from facehall.web.handler import page_files
    from facehall.web.photo_engine import PhotoEngine
    from facehall.web.server import PageServer
    from facehall.web.work import Limits, restore

    engine: Engine = (PhotoEngine if faces else PredictorEngine)("facehall-x4", "cpu", "eager")
    # Modules and tables that are loaded on first use are not what a request reads.
    page_files()
    for kind in ("png", "jpg", "webp"):
        restore(engine, png(8, 8), "warm-up", Limits(), Options(4), kind, lambda share: None)
    touched: list[str] = []
    server = PageServer(engine, port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def record(event: str, arguments: tuple[object, ...]) -> None:
        if event in FILE_EVENTS and not str(arguments[0]).startswith(SYSTEM):
            touched.append(f"{event} {arguments[0]}")

    sys.addaudithook(record)
    pipe.send(server.server_address)
    pipe.recv()
    pipe.send(list(touched))


def png(width: int, height: int, claim: tuple[int, int] | None = None, extra: bytes = b"") -> bytes:
    """Return a black PNG file, with other sides in its header if `claim` is given."""
    header = struct.pack(">IIBBBBB", *(claim or (width, height)), 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (3 * width + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(kind: str, side: int, **options: object) -> bytes:
    content = io.BytesIO()
    Image.new("RGB" if kind != "GIF" else "P", (side, side)).save(content, kind, **options)
    return content.getvalue()


def request(
    address: tuple[str, int], method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection(*address, timeout=120)
    try:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body)
        response = connection.getresponse()
        content = response.read()
    except OSError as error:
        return f"connection closed ({type(error).__name__})"
    finally:
        connection.close()
    if response.status != 200 or method != "POST":
        return str(response.status)
    lines = [json.loads(line) for line in content.split(b"\n") if line.startswith(b'{"state"')]
    return lines[-1].get("message", lines[-1]["state"])[:110]


def raw(address: tuple[str, int], data: bytes, drip: bytes = b"", seconds: float = 60) -> Answer:
    """Send bytes, then one at a time out of `drip`, and return the first line of the answer."""
    started = time.monotonic()
    with socket.create_connection(address, 60) as client:
        try:
            client.sendall(data)
            client.settimeout(0.5)
            while time.monotonic() - started < seconds:
                try:
                    if answer := client.recv(1 << 16):
                        return answer.split(b"\r\n")[0].decode(errors="replace")[:60]
                    break
                except TimeoutError:
                    if drip:
                        client.sendall(drip[:1])
        except OSError:
            pass
    return f"dropped after {round(time.monotonic() - started)} s" if drip else "dropped"


def flood(address: tuple[str, int], declared: int) -> Answer:
    """Send a gigabyte, whatever length is declared."""
    head = f"POST /restore?scale=4 HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE['Content-Type']}\r\n"
    block, sent = bytes(1 << 20), 0
    with socket.create_connection(address, 60) as client:
        try:
            client.sendall(f"{head}Content-Length: {declared}\r\n\r\n".encode())
            while sent < GIGABYTE:
                client.sendall(block)
                sent += len(block)
        except OSError:
            pass
        try:
            answer = client.recv(1 << 16).split(b"\r\n")[0].decode()
        except OSError:
            answer = "closed"
    return f"{answer} after {sent / 1e6:.0f} MB"


def attacks() -> list[Attack]:
    """Return all attacks that are carried out one after the other."""
    found: list[Attack] = []

    def add(kind: str, description: str, function: Callable[[tuple[str, int]], Answer]) -> None:
        found.append((kind, description, function))

    paths = ["/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/etc/passwd"]
    paths += ["/./app.js", "/app.js/../../server.py", "/app.js%00.png", "/..\\..\\windows\\win.ini", "/C:/windows"]
    paths += ["/file:///etc/passwd", "http://127.0.0.1/etc/passwd", "/.git/config", "/proc/self/environ", "/~root"]
    paths += ["/server/engine.js", "/" + "a/" * 5000, "/" + "%25" * 5000, "/?file=/etc/passwd", "/info.json?path=/etc"]
    for path in paths:
        add("path", path[:60], lambda address, path=path: request(address, "GET", path))
    queries = ["name=/etc/passwd", "name=../../x.png", "output=/x", "weights=/etc/passwd", "format=../x", "scale=../4"]
    queries += ["faces=../x", "fidelity=1e999", "background=/x", "name=" + "x" * 60_000]
    queries += ["faces=-1", "faces=99999999999999999999", "faces=" + "0," * 30_000 + "0"]
    for query in queries:
        target = f"/restore?scale=4&{query}" if "scale" not in query else f"/restore?{query}"
        add("option", query[:60], lambda address, target=target: request(address, "POST", target, png(2, 2), TYPE))
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", "0", "", "[::2]"):
        add("host", host, lambda address, host=host: request(address, "GET", "/", headers={"Host": host}))
    for origin in ("http://evil.example", "null", "file://", "http://localhost.evil"):
        headers = {**TYPE, "Origin": origin}
        add("origin", origin, lambda address, headers=headers: request(address, "POST", "/faces", png(2, 2), headers))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    bombs = {
        "PNG that claims 2^31 x 2^31": png(1, 1, (2**31 - 1, 2**31 - 1)),
        "PNG that claims 60,000 x 60,000": png(1, 1, (60000, 60000)),
        "PNG that claims 7,900 x 7,900": png(1, 1, (7900, 7900)),
        "PNG of 9,000 x 9,000": png(9000, 9000),
        "PNG of 1 x 30,000": png(1, 30_000),
        "PNG with 200 MB of text": png(2, 2, extra=text),
        "PNG with a 200 MB profile": png(2, 2, extra=profile),
        "PNG cut in the middle": png(50, 50)[:60],
        "GIF of 10,000 x 10,000": saved("GIF", 10_000),
        "TIFF of 8,100 x 8,100": saved("TIFF", 8_100, compression="tiff_lzw"),
        "WebP of 8,100 x 8,100": saved("WEBP", 8_100),
        "JPEG of 9,000 x 9,000": saved("JPEG", 9_000),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "SVG with an entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>',
        "pickle": f"cos\nsystem\n(S'touch {MARK}'\ntR.".encode(),
        "zip": b"PK\x03\x04" + bytes(200),
        "noise": np.random.default_rng(0).bytes(1_000_000),
        "nothing": b"",
    }
    for name, content in bombs.items():
        add("picture", name, lambda address, body=content: request(address, "POST", "/restore?scale=4", body, TYPE))
    requests = {
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
        "two lengths": b"POST /faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\nx",
        "chunked": b"POST /faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a line of 1 MB": b"GET /" + b"a" * 1_000_000,
        "100,000 headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000,
        "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "PUT": b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "line breaks in the path": b"GET /\r\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }
    for name, data in requests.items():
        add("protocol", name, lambda address, data=data: raw(address, data))
    for name in ("PNG that claims 7,900 x 7,900", "PNG of 1 x 30,000", "PNG cut in the middle", "noise"):
        add("faces", name, lambda address, body=bombs[name]: request(address, "POST", "/faces", body, TYPE))
    add("size", "1 GB, declared", lambda address: flood(address, GIGABYTE))
    add("size", "1 GB, declared as 39 MB", lambda address: flood(address, 39_000_000))
    return found


def slow_attacks() -> list[Attack]:
    head = b"POST /restore?scale=4 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    parts = {
        "headers, a byte each half second": b"GET / HTTP/1.1\r\nX: ",
        "nothing at all": b"",
        "body, a byte each half second": head + b"Content-Length: 30000000\r\n\r\n",
        "body after a half": head + b"Content-Length: 30000000\r\n\r\n" + bytes(300_000),
    }
    return [("slow", name, lambda address, data=data: raw(address, data, b"x")) for name, data in parts.items()]


def peak_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def together(attacks: list[Attack], address: tuple[str, int]) -> list[Answer]:
    """Carry out attacks at the same time."""
    answers: list[Answer] = [""] * len(attacks)

    def run(index: int) -> None:
        answers[index] = attacks[index][2](address)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(attacks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def attack(faces: bool) -> tuple[list[Row], bool]:
    """Carry out all attacks on one kind of server; return their rows and whether it withstood them."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, faces))
    process.start()
    address = ours.recv()
    assert process.pid is not None
    before = peak_megabytes(process.pid)
    engine = "faces" if faces else "whole pictures"
    rows: list[Row] = []
    for kind, name, function in attacks():
        rows.append((engine, kind, name, function(address), round(peak_megabytes(process.pid))))
    slow = slow_attacks()
    answers = together(slow, address)
    after_one_by_one = round(peak_megabytes(process.pid))
    rows += [
        (engine, kind, name, answer, after_one_by_one) for (kind, name, _), answer in zip(slow, answers, strict=True)
    ]
    many: list[Attack] = [
        ("at once", "a good picture", lambda address: request(address, "POST", "/restore?scale=4", png(48, 48), TYPE))
    ] * AT_ONCE
    answers = together(many, address)
    peak = round(peak_megabytes(process.pid))
    rows += [(engine, kind, name, answer, peak) for (kind, name, _), answer in zip(many, answers, strict=True)]
    good = request(address, "POST", "/restore?scale=4", png(16, 16), TYPE)
    ours.send("end")
    touched = ours.recv()
    process.terminate()
    print(f"{engine}: {len(rows)} requests: {dict(collections.Counter(row[1] for row in rows))}")
    print(f"  {AT_ONCE} at once: {dict(collections.Counter(answers))}")
    print(f"  files opened, written, renamed or removed by the server: {len(touched)} {touched[:5]}")
    print(f"  peak memory: {before:.0f} MB before, {after_one_by_one} after one by one, {peak} at the end")
    print(f"  a good picture afterwards: {good}", flush=True)
    return rows, good == "done" and not touched and not MARK.exists()


def main() -> int:
    experiment_parser(__doc__).parse_args()
    results = [attack(faces) for faces in (True, False)]
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("engine", "kind", "request", "answer", "peak_mb"))
        writer.writerows(row for rows, _ in results for row in rows)
    return 0 if all(withstood for _, withstood in results) else 1


if __name__ == "__main__":
    sys.exit(main())
