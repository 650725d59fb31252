"""Files out of npm packages, fetched by a stand-in for npm."""

import hashlib
import io
import stat
import tarfile

import pytest

from facehall.assets import WeightsNotFoundError
from facehall.assets.npm_packages import NpmPackage, npm_files
from facehall.errors import FacehallError
from facehall.io.cache import cache_dir

CONTENT = {"a.js": b"let a;", "b.wasm": b"\0asm"}
PACKAGE = NpmPackage("thing@1.2.3", "package/dist", {k: hashlib.sha256(v).hexdigest() for k, v in CONTENT.items()})


@pytest.fixture
def npm(machine, monkeypatch):
    """Put an npm on the path that delivers an archive with the given files, or fails if there are none."""
    folder = machine / "bin"
    folder.mkdir()

    def provide(content):
        archive = machine / "thing.tgz"
        archive.unlink(missing_ok=True)
        if content is not None:
            with tarfile.open(archive, "w:gz") as file:
                for name, data in content.items():
                    member = tarfile.TarInfo(f"package/dist/{name}")
                    member.size = len(data)
                    file.addfile(member, io.BytesIO(data))
        script = folder / "npm"
        deliver = f'cp {archive} "$6/thing-1.2.3.tgz"' if content is not None else "echo no such package >&2; exit 1"
        script.write_text(f'#!/bin/sh\n[ "$1 $2 $5" = "pack thing@1.2.3 --pack-destination" ] || exit 9\n{deliver}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return provide


def test_fetched_once_and_again_if_damaged(npm):
    npm(CONTENT)
    folder = npm_files(PACKAGE)
    assert folder == cache_dir() / "npm" / "thing@1.2.3"
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    npm(None)
    assert npm_files(PACKAGE) == folder
    (folder / "a.js").write_bytes(b"damaged")
    with pytest.raises(WeightsNotFoundError, match="no such package"):
        npm_files(PACKAGE)
    npm(CONTENT)
    assert (npm_files(PACKAGE) / "a.js").read_bytes() == CONTENT["a.js"]


@pytest.mark.parametrize("content", [{**CONTENT, "a.js": b"changed"}, {"a.js": CONTENT["a.js"]}])
def test_other_content_is_refused_and_not_kept(npm, content):
    npm(content)
    with pytest.raises(WeightsNotFoundError, match="unexpected"):
        npm_files(PACKAGE)
    assert not (cache_dir() / "npm" / "thing@1.2.3" / "b.wasm").exists() or "b.wasm" in content


def test_own_folder_comes_first(npm, machine, monkeypatch):
    npm(None)
    own = machine / "own" / "thing@1.2.3"
    own.mkdir(parents=True)
    for name, data in CONTENT.items():
        (own / name).write_bytes(data)
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(own.parent))
    assert npm_files(PACKAGE) == own


def test_without_npm_or_network(machine, monkeypatch):
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(WeightsNotFoundError, match=r"npm.* is not installed.*npm pack thing@1.2.3.*a.js, b.wasm"):
        npm_files(PACKAGE)
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError, match="FACEHALL_OFFLINE forbids"):
        npm_files(PACKAGE)


def test_cache_that_cannot_be_written(npm, machine, monkeypatch):
    npm(CONTENT)
    (machine / "cache").write_text("a file")
    with pytest.raises(FacehallError, match="Set FACEHALL_CACHE"):
        npm_files(PACKAGE)
