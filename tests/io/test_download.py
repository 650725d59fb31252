"""Downloads from a local server, including server faults."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
from local_server import Server

from facehall.errors import FacehallError
from facehall.io.download import download

DATA = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(DATA)
    yield server
    server.close()


def cut_first(server: Server, size: int) -> Callable[[BaseHTTPRequestHandler, int], bool]:
    """The first connection breaks after `size` bytes."""

    def behave(handler: BaseHTTPRequestHandler, number: int) -> bool:
        if number == 1:
            server.answer(handler, cut=size)
        return number == 1

    return behave


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256[:8]])
def test_complete_file_without_leftovers(server, tmp_path, sha256):
    target = download(server.url, tmp_path / "new folder" / "file.bin", sha256=sha256)
    assert target.read_bytes() == DATA
    assert names(target.parent) == {"file.bin"}


def test_existing_file_is_not_fetched_again(server, tmp_path):
    for _ in range(2):
        download(server.url, tmp_path / "file.bin", sha256=SHA256)
    assert len(server.requests) == 1


def test_existing_file_with_another_checksum_is_replaced(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"old")
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA


def test_broken_connection_is_resumed(server, tmp_path):
    server.behave = cut_first(server, 300_000)
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA
    assert server.requests == [None, "bytes=300000-"]


def test_a_later_call_resumes(server, tmp_path):
    server.behave = cut_first(server, 300_000)
    with pytest.raises(FacehallError, match=r"300000 bytes are kept in .*file\.bin\.part"):
        download(server.url, tmp_path / "file.bin", retries=0)
    assert not (tmp_path / "file.bin").exists()
    assert download(server.url, tmp_path / "file.bin").read_bytes() == DATA
    assert server.requests[-1] == "bytes=300000-"
    assert names(tmp_path) == {"file.bin"}


def test_server_without_ranges(server, tmp_path):
    first = cut_first(server, 300_000)
    server.behave = lambda handler, number: first(handler, number) or not server.answer(handler, ranges=False)
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA


@pytest.mark.parametrize("supports_if_range", [True, False])
def test_changed_file_is_downloaded_from_the_start(server, tmp_path, supports_if_range):
    server.behave = cut_first(server, 300_000)
    with pytest.raises(FacehallError):
        download(server.url, tmp_path / "file.bin", retries=0)
    server.data, server.etag = DATA[::-1], '"two"'

    def ignore_if_range(handler: BaseHTTPRequestHandler, number: int) -> bool:
        if supports_if_range or handler.headers.get("Range") is None:
            return False
        handler.headers.replace_header("If-Range", server.etag)
        server.answer(handler)
        return True

    server.behave = ignore_if_range
    assert download(server.url, tmp_path / "file.bin").read_bytes() == DATA[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_nothing_is_resumed_without_a_strong_validator(server, tmp_path, etag):
    server.etag = etag
    server.behave = cut_first(server, 300_000)
    assert download(server.url, tmp_path / "file.bin").read_bytes() == DATA
    assert server.requests == [None, None]


def test_damaged_part_is_detected_and_downloaded_again(server, tmp_path):
    server.behave = cut_first(server, 300_000)
    with pytest.raises(FacehallError):
        download(server.url, tmp_path / "file.bin", sha256=SHA256, retries=0)
    with (tmp_path / "file.bin.part").open("r+b") as part:
        part.write(b"rot")
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA


@pytest.mark.parametrize("extra", [b"", b"more than the file"])
def test_part_that_is_already_complete(server, tmp_path, extra):
    server.behave = cut_first(server, 300_000)
    with pytest.raises(FacehallError):
        download(server.url, tmp_path / "file.bin", retries=0)
    (tmp_path / "file.bin.part").write_bytes(DATA + extra)
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(FacehallError, match=f"sha256 starts with {SHA256[:16]}, expected 00000000"):
        download(server.url, tmp_path / "file.bin", sha256="00000000")
    assert names(tmp_path) == set()
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 3)])
def test_http_errors(server, tmp_path, status, attempts):
    server.behave = lambda handler, number: not handler.send_error(status)
    with pytest.raises(FacehallError, match=str(status)):
        download(server.url, tmp_path / "file.bin", retries=2)
    assert len(server.requests) == attempts
    assert names(tmp_path) == set()


def test_server_that_accepts_but_never_answers(server, tmp_path):
    release = threading.Event()
    server.behave = lambda handler, number: release.wait(20)
    start = time.monotonic()
    with pytest.raises(FacehallError, match=r"no answer from 127\.0\.0\.1:\d+ in 0\.3 s"):
        download(server.url, tmp_path / "file.bin", connect_timeout=0.3)
    assert time.monotonic() - start < 5
    release.set()


@pytest.mark.parametrize("trickle", [False, True], ids=["hangs", "trickles"])
def test_server_that_stalls(server, tmp_path, trickle):
    release = threading.Event()

    def hang(handler: BaseHTTPRequestHandler, number: int) -> bool:
        server.answer(handler, cut=1000)
        handler.wfile.flush()
        while not release.wait(0.05):
            if trickle:
                handler.wfile.write(b"x")
        return True

    server.behave = hang
    start = time.monotonic()
    with pytest.raises(FacehallError, match=r"bytes are kept|arrived"):
        download(server.url, tmp_path / "file.bin", timeout=0.4, retries=0)
    # The first 1000 bytes make the first window fast enough; the trickle is detected in a later one.
    assert time.monotonic() - start < 15
    assert not (tmp_path / "file.bin").exists()
    release.set()


def test_unreachable_server(server, tmp_path):
    server.close()
    start = time.monotonic()
    with pytest.raises(FacehallError, match="cannot be reached"):
        download(server.url, tmp_path / "file.bin")
    assert time.monotonic() - start < 5


def test_unknown_length_needs_a_checksum(server, tmp_path):
    server.behave = lambda handler, number: not server.answer(handler, length=False)
    with pytest.raises(FacehallError, match="length"):
        download(server.url, tmp_path / "file.bin")
    assert download(server.url, tmp_path / "file.bin", sha256=SHA256).read_bytes() == DATA


def test_full_disk_is_detected_before_the_transfer(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10, used=10, free=1000))
    with pytest.raises(FacehallError, match=r"Not enough space .* 1\.0 MB more are needed, 0\.0 MB are free"):
        download(server.url, tmp_path / "file.bin")


def test_disk_that_fills_up_during_the_transfer(server, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facehall.io.transfer.os.fsync", full)
    with pytest.raises(FacehallError, match="No space left on device"):
        download(server.url, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


def test_folder_that_cannot_be_created(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FacehallError, match="Cannot write"):
        download(server.url, tmp_path / "file" / "file.bin")


def test_other_schemes_are_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(FacehallError, match="only http"):
        download((tmp_path / "secret").as_uri(), tmp_path / "file.bin")


def test_concurrent_callers_share_one_download(server, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: download(server.url, tmp_path / "file.bin", sha256=SHA256), range(6)))
    assert {path.read_bytes() for path in paths} == {DATA}
    assert len(server.requests) == 1
    assert names(tmp_path) == {"file.bin"}
