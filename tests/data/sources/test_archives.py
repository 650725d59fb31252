"""Archives from a local HTTP server, including interruptions and failures."""

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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


def test_only_pictures_are_unpacked(get, server):
    assert get() == WHOLE
    assert len(server.requests) == 2


def test_complete_folders_are_not_fetched_again(get, server, tmp_path):
    get()
    for name in ("a", "b/c", "."):
        (tmp_path / "root" / name).chmod(0o555)
    assert get() == WHOLE
    assert len(server.requests) == 2


def test_missing_or_damaged_pictures_are_replaced_and_others_stay(get, server, tmp_path):
    get()
    folder = tmp_path / "root" / "a"
    (folder / "0003.png").unlink()
    (folder / "0004.png").write_bytes(PICTURES["a"]["0005.png"])  # the right size, but wrong content
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


def test_a_provided_archive_is_used_and_kept(get, server, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["a.zip"])
    assert get() == WHOLE | {"a.zip": PACKED["a.zip"]}
    assert len(server.requests) == 1


def test_a_wrong_provided_archive_is_named_and_kept(get, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["c.zip"])
    with pytest.raises(FacehallError, match=r"root/a\.zip is not the published archive"):
        get()
    assert (tmp_path / "root" / "a.zip").read_bytes() == PACKED["c.zip"]


def test_a_wrong_file_on_the_server_is_rejected(get, server, tmp_path):
    server.files = PACKED | {"a.zip": b"<html>log in first</html>"}
    with pytest.raises(FacehallError, match=r"a\.zip does not serve the expected file"):
        get()
    assert not (tmp_path / "root" / "a").exists()


def test_without_a_network_the_message_gives_alternatives(get, server, tmp_path):
    server.close()
    with pytest.raises(
        FacehallError, match=r"Cannot download http.*a\.zip: .*or copy a\.zip to .*root to have it unpacked"
    ):
        get()
    assert contents(tmp_path) == {"root": b""}


def test_names_inside_an_archive_are_not_used_as_paths(tmp_path):
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
def test_disk_space_is_checked_before_fetching(get, server, tmp_path, monkeypatch, keep, share):
    """Archives are processed one by one: without `keep`, peak usage is both folders plus the second archive."""
    both = sum(archive.size for archive in ARCHIVES)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: SimpleNamespace(free=share * both)
    )  # no reserve for disk blocks
    with pytest.raises(
        FacehallError,
        match=r"Not enough disk space in .*root for a\.zip, c\.zip: 0\.00 GB more are needed, .* are free",
    ):
        get(keep=keep)
    assert not server.requests
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=(share + 0.06) * both))
    get(keep=keep)


def test_disk_space_is_checked_for_missing_pictures_only(get, tmp_path, monkeypatch):
    get()
    for name in sorted(PICTURES["a"])[:6]:
        (tmp_path / "root" / "a" / name).unlink()
    (tmp_path / "root" / "a.zip").write_bytes(PACKED["a.zip"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.27 * ARCHIVES[0].size))
    assert get() == WHOLE | {"a.zip": PACKED["a.zip"]}


def test_an_unwritable_folder_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FacehallError, match=r"Cannot write to .*file.*: Not a directory"):
        fetch(ARCHIVES, tmp_path / "file", origin(server))


def test_concurrent_callers_share_one_download(get, server):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: get(), range(4)))
    assert get() == WHOLE
    assert len(server.requests) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_fetch_resumes(preloaded, server, tmp_path):
    server.pause = 0.005
    root, total = tmp_path / "root", sum(len(data) for data in WHOLE.values())
    killed_in = set()
    for step in range(STEPS):  # each allows a little more progress
        process = start_fetching(preloaded, ARCHIVES, root, origin(server))
        while process.poll() is None and progress(root) < total * step / STEPS:
            time.sleep(0.001)
        process.kill()
        if process.wait() == -signal.SIGKILL:
            killed_in |= {path.suffix for path in root.rglob("*") if not path.name.startswith(".")}
    assert {".part", ".zip", ".png"} <= killed_in  # during downloading and during unpacking
    assert start_fetching(preloaded, ARCHIVES, root, origin(server)).wait() == 0
    assert contents(root) == WHOLE


def progress(root):
    """Return progress in bytes: unpacked pictures, plus half of a partial download."""
    sizes = dict.fromkeys((".png", ".part", ".zip"), 0)
    for folder, _, names in os.walk(root):  # it passes over folders that are removed meanwhile; rglob raises
        for name in names:
            with contextlib.suppress(KeyError, FileNotFoundError):
                sizes[Path(name).suffix] += Path(folder, name).stat().st_size
    return sizes[".png"] + 0.5 * sizes[".part"]
