"""Archives of pictures from a real server on this machine, with everything that can come in between."""

import io
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from local_server import Server
from packed_pictures import contents, describe, pack, start_fetching

from facehall.data.sources.archives import fetch, unpack
from facehall.errors import FacehallError

COUNT = 24
STEPS = 8
PICTURES = {
    folder: {f"{i:04d}.png": random.Random(f"{folder} {i}").randbytes(16384) for i in range(COUNT)}
    for folder in ("a", "b/c")
}
PACKED = {f"{folder[-1]}.zip": pack(pictures, f"some/{folder}") for folder, pictures in PICTURES.items()}
ARCHIVES = [describe(f"{folder[-1]}.zip", PACKED[f"{folder[-1]}.zip"], folder, PICTURES[folder]) for folder in PICTURES]
WHOLE = {f"{folder}/{name}": data for folder, pictures in PICTURES.items() for name, data in pictures.items()}


@pytest.fixture
def server():
    server = Server(files=PACKED)
    yield server
    server.close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch both archives below tmp_path/root."""

    def run(archives=ARCHIVES, **options):
        fetch(archives, tmp_path / "root", origin(server), **options)
        return contents(tmp_path / "root")

    return run


def origin(server):
    return server.url.rpartition("/")[0] + "/"


def test_pictures_and_nothing_beside_them(get, server):
    assert get() == WHOLE
    assert len(server.requests) == 2


def test_what_is_complete_is_not_fetched_again(get, server, tmp_path):
    get()
    for name in ("a", "b/c", "."):
        (tmp_path / "root" / name).chmod(0o555)
    assert get() == WHOLE
    assert len(server.requests) == 2


def test_a_picture_that_is_missing_or_damaged_is_mended_and_others_stay(get, server, tmp_path):
    get()
    folder = tmp_path / "root" / "a"
    (folder / "0003.png").unlink()
    (folder / "0004.png").write_bytes(PICTURES["a"]["0005.png"])  # of the right size
    (folder / "0006.png").write_bytes(b"short")
    (folder / ".0007.png.1-abc.part").write_bytes(b"left over")
    (folder / "own.txt").write_text("mine")
    before = (folder / "0020.png").stat().st_mtime_ns
    assert get() == WHOLE | {"a/own.txt": b"mine"}
    assert (folder / "0020.png").stat().st_mtime_ns == before
    assert len(server.requests) == 3


def test_downloads_can_be_kept(get, server):
    assert get(keep=True) == WHOLE | {f"downloads/{file}": data for file, data in PACKED.items()}
    assert get(keep=True) == get()
    assert len(server.requests) == 2


def test_an_archive_that_was_put_there_is_used_and_stays(get, server, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["a.zip"])
    assert get() == WHOLE | {"a.zip": PACKED["a.zip"]}
    assert len(server.requests) == 1


def test_a_wrong_archive_that_was_put_there_is_named_and_stays(get, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["c.zip"])
    with pytest.raises(FacehallError, match=r"root/a\.zip is not the published archive"):
        get()
    assert (tmp_path / "root" / "a.zip").read_bytes() == PACKED["c.zip"]


def test_a_wrong_file_on_the_server_is_refused(get, server, tmp_path):
    server.files = PACKED | {"a.zip": b"<html>log in first</html>"}
    with pytest.raises(FacehallError, match=r"a\.zip does not deliver the expected file"):
        get()
    assert not (tmp_path / "root" / "a").exists()


def test_without_a_network_the_ways_out_are_named(get, server, tmp_path):
    server.close()
    with pytest.raises(
        FacehallError, match=r"Cannot download http.*a\.zip: .*or copy a\.zip to .*root to have it unpacked"
    ):
        get()
    assert contents(tmp_path) == {"root": b""}


def test_names_inside_an_archive_never_become_paths(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in ("../../evil.png", "/etc/evil.png", "../0000.png", "x\\..\\evil.png"):
            packed.writestr(name, b"picture")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    unpack(tmp_path / "a.zip", tmp_path / "deep" / "folder", ["0000.png"])
    assert set(contents(tmp_path)) == {"a.zip", "deep/folder/0000.png"}


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(PACKED["a.zip"].replace(PICTURES["a"]["0012.png"][100:200], bytes(100)))
    assert path.read_bytes() != PACKED["a.zip"]
    with pytest.raises(FacehallError, match=r"a\.zip is damaged: Bad CRC-32 .*0012\.png.*Remove it"):
        unpack(path, tmp_path / "a", list(PICTURES["a"]))
    assert set(contents(tmp_path / "a")) == set(sorted(PICTURES["a"])[:12])
    path.write_bytes(PACKED["a.zip"][:-100])
    with pytest.raises(FacehallError, match=r"a\.zip is damaged: File is not a zip file"):
        unpack(path, tmp_path / "a", list(PICTURES["a"]))
    path.write_bytes(PACKED["a.zip"])
    with pytest.raises(FacehallError, match=r"a\.zip lacks 1 of 25 pictures, for example 0024\.png"):
        unpack(path, tmp_path / "a", [*PICTURES["a"], "0024.png"])


@pytest.mark.parametrize(("keep", "share"), [(False, 1.5), (True, 2)])
def test_room_is_looked_for_before_anything_is_fetched(get, server, tmp_path, monkeypatch, keep, share):
    """Archives go one by one: both folders and the second archive lie there at the most, if the first is not kept."""
    both = sum(archive.size for archive in ARCHIVES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=share * both))  # no slack for blocks
    with pytest.raises(
        FacehallError,
        match=r"Not enough disk space in .*root for a\.zip, c\.zip: 0\.00 GB more are needed, .* are free",
    ):
        get(keep=keep)
    assert not server.requests
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=(share + 0.06) * both))
    get(keep=keep)


def test_room_is_asked_for_what_is_missing_alone(get, tmp_path, monkeypatch):
    get()
    for name in sorted(PICTURES["a"])[:6]:
        (tmp_path / "root" / "a" / name).unlink()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["a.zip"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.27 * ARCHIVES[0].size))
    assert get() == WHOLE | {"a.zip": PACKED["a.zip"]}


def test_a_folder_that_cannot_be_written_to_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FacehallError, match=r"Cannot write to .*file.*: Not a directory"):
        fetch(ARCHIVES, tmp_path / "file", origin(server))


def test_many_callers_one_download(get, server):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: get(), range(4)))
    assert get() == WHOLE
    assert len(server.requests) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_at_any_moment_the_next_start_goes_on(server, tmp_path):
    server.pause = 0.005
    root, total = tmp_path / "root", sum(len(data) for data in WHOLE.values())
    killed_in = set()
    for step in range(STEPS):  # each lets a little more come
        process = start_fetching(ARCHIVES, root, origin(server))
        while process.is_alive() and progress(root) < total * step / STEPS:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == -signal.SIGKILL:
            killed_in |= {path.suffix for path in root.rglob("*") if not path.name.startswith(".")}
    assert {".part", ".zip", ".png"} <= killed_in  # in the middle of a download, and of unpacking
    last = start_fetching(ARCHIVES, root, origin(server))
    last.join()
    assert last.exitcode == 0
    assert contents(root) == WHOLE


def progress(root):
    """Bytes that have come: of pictures, or of the archive that is being fetched, which becomes as much again."""
    sizes = dict.fromkeys((".png", ".part", ".zip"), 0)
    for path in root.rglob("*"):
        try:
            sizes[path.suffix] += path.stat().st_size
        except (KeyError, FileNotFoundError):
            continue
    return sizes[".png"] + 0.5 * sizes[".part"]
