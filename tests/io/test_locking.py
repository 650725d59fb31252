"""The lock file: exclusive, released with its holder, removed at the end."""

import errno
import os
import subprocess
import sys

import pytest

from facehall.errors import FacehallError
from facehall.io.locking import file_lock

# Slowly increment a number in a file; without the lock, processes would read the same number.
ADD_ONE = """
import pathlib, sys, time
from facehall.io.locking import file_lock
folder = pathlib.Path(sys.argv[1])
for _ in range(10):
    with file_lock(folder / ".lock"):
        value = int((folder / "value").read_text())
        time.sleep(0.01)
        (folder / "value").write_text(str(value + 1))
"""


def test_exclusive_between_processes(tmp_path):
    (tmp_path / "value").write_text("0")
    command = [sys.executable, "-c", ADD_ONE, str(tmp_path)]
    for process in [subprocess.Popen(command) for _ in range(2)]:
        assert process.wait(60) == 0
    assert (tmp_path / "value").read_text() == "20"
    assert not (tmp_path / ".lock").exists()


def test_waiting_is_announced_and_ends(tmp_path):
    announced = []
    path = tmp_path / ".lock"
    second = file_lock(path, timeout=0.3, on_wait=lambda: announced.append(1))
    with file_lock(path), pytest.raises(FacehallError, match=r"Another process has held .*\.lock"), second:
        pytest.fail("two holders")
    assert announced == [1]


def test_dead_holder_leaves_no_lock(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from facehall.io.locking import file_lock\n"
        "with file_lock(pathlib.Path(sys.argv[1])): os._exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / ".lock")], check=False).returncode == 1
    assert (tmp_path / ".lock").exists()
    with file_lock(tmp_path / ".lock", timeout=0, on_wait=lambda: pytest.fail("a holder")):
        assert (tmp_path / ".lock").exists()


def test_released_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside"), file_lock(tmp_path / ".lock"):
        raise ValueError("inside")
    with file_lock(tmp_path / ".lock", timeout=0):
        assert True


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with file_lock(tmp_path / ".lock", timeout=0), file_lock(tmp_path / ".lock", timeout=0):
        assert True


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), file_lock(tmp_path / "file" / ".lock", timeout=0):
        pytest.fail("there is no lock")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_release_the_lock(tmp_path):
    """Like the workers of a data loader while a store is built."""
    path = tmp_path / ".lock"
    code = (
        "import multiprocessing, pathlib, sys\n"
        "from facehall.io.locking import file_lock\n"
        "with file_lock(pathlib.Path(sys.argv[1])):\n"
        "    child = multiprocessing.get_context('fork').Process(target=int)\n"
        "    child.start(); child.join(); print('held', flush=True); sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FacehallError, match="Another process"), file_lock(path, timeout=0):
            pytest.fail("two holders")
        holder.stdin.close()
        assert holder.wait(30) == 0
