"""Archives from npm, by a stand-in for its program."""

import stat

import pytest

from facehall.assets.npm import npm_pack
from facehall.errors import FacehallError


@pytest.fixture
def npm(machine, monkeypatch):
    """Put an npm on the path that runs the given line of shell after checking its arguments."""
    folder = machine / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def provide(line):
        script = folder / "npm"
        expected = "pack thing@1.2.3 --ignore-scripts --silent --pack-destination"
        script.write_text(f'#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "{expected}" ] || exit 9\n{line}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    return provide


def test_the_archive_is_found_whatever_its_name(npm, tmp_path):
    npm('echo content > "$6/thing-1.2.3.tgz"')
    archive = npm_pack("thing@1.2.3", tmp_path)
    assert (archive.name, archive.read_text()) == ("thing-1.2.3.tgz", "content\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo no such package >&2; exit 1", "npm: no such package"),
        ("exit 1", "npm: no message"),
        ("exit 0", "npm: no message"),
        ('touch "$6/a.tgz" "$6/b.tgz"', "npm: no message"),
    ],
)
def test_failures_are_told(npm, tmp_path, line, message):
    npm(line)
    with pytest.raises(FacehallError, match=message):
        npm_pack("thing@1.2.3", tmp_path)


def test_without_npm(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(FacehallError, match=r"npm, which comes with Node\.js and fetches it, is not installed"):
        npm_pack("thing@1.2.3", tmp_path)
