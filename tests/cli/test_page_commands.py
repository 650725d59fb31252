"""The commands facehall serve and facehall page: their options and errors. tests/web has what they do."""

import signal
import subprocess
import sys
import urllib.request

import pytest
from small import write_weights

from facehall.cli.main import main


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_serve_until_it_is_terminated(tmp_path):
    write_weights(tmp_path / "w.safetensors")
    command = [sys.executable, "-m", "facehall", "serve", "-w", "w.safetensors", "--no-faces", "--port", "0"]
    with subprocess.Popen([*command, "--backend", "eager"], stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        assert b"facehall" in urllib.request.urlopen(url).read()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "stopped\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--max-megabytes", "0"], "--max-megabytes 0: must be at least 1"),
        (["serve", "--weights", "none.safetensors", "--no-faces"], "none.safetensors: no such weights file"),
        (["serve", "--weights", "w.safetensors", "--no-faces", "--port", "99999"], "port 99999"),
        (["page", "full"], "full already exists and is not an empty folder"),
        (["page", "file"], "file already exists and is not an empty folder"),
    ],
)
def test_mistakes(tmp_path, capsys, arguments, message):
    write_weights(tmp_path / "w.safetensors")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "file").touch()
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_without_the_detector_the_page_says_so(tmp_path, monkeypatch, caplog):
    from facehall.cli.commands import serve
    from facehall.cli.main import build_parser

    write_weights(tmp_path / "w.safetensors")
    monkeypatch.setenv("FACEHALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    monkeypatch.delenv("FACEHALL_WEIGHTS", raising=False)
    options = build_parser().parse_args(["serve", "-w", "w.safetensors", "--backend", "eager"])
    engine = serve._engine(options)
    assert not engine.finds_faces
    assert "Faces are not looked for" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
