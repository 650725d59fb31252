"""The commands facehall serve and facehall page: their options and errors. tests/web has what they do."""

import os
import signal
import socketserver
import threading
import time
import urllib.request

import pytest
from small import write_weights

from facehall.cli.main import main
from facehall.web.server import PageServer


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_serve_until_it_is_terminated(tmp_path, monkeypatch, capsys):
    write_weights(tmp_path / "w.safetensors")
    pages = []

    def serve(server):
        threading.Thread(target=socketserver.BaseServer.serve_forever, args=(server, 0.01), daemon=True).start()
        pages.append(urllib.request.urlopen(server.url).read())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)  # the signal interrupts it

    monkeypatch.setattr(PageServer, "serve_forever", serve)
    monkeypatch.setattr(PageServer, "__exit__", lambda server, *error: (server.shutdown(), server.server_close()))
    before = signal.getsignal(signal.SIGTERM)
    status = main(["serve", "-w", "w.safetensors", "--no-faces", "--backend", "eager", "--port", "0"])
    first, last = capsys.readouterr().out.splitlines()
    assert status == 0
    assert b"<title>facehall" in pages[0]
    assert first.startswith("http://127.0.0.1:")
    assert last == "stopped"
    assert signal.getsignal(signal.SIGTERM) == before


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
