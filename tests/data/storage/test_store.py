"""Stores: arrays are cached across processes, crashes, damaged files and full disks."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facehall.data import DiskStore, MemoryStore
from facehall.data.storage import store as store_module
from facehall.errors import FacehallError


def ones(kilobytes: int) -> np.ndarray:
    return np.ones(kilobytes * 1000, np.uint8)


def never() -> np.ndarray:
    raise AssertionError("it was already stored")


@pytest.mark.parametrize("make_store", [DiskStore, lambda root: MemoryStore(1)])
def test_an_array_is_computed_once(tmp_path, make_store):
    store = make_store(tmp_path)
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert np.array_equal(store.get("a", lambda: array), array)
    assert np.array_equal(store.get("a", never), array)
    assert np.array_equal(store.get("b", lambda: array + 1), array + 1)
    assert store.warning is None


def test_another_process_maps_the_same_file(tmp_path):
    DiskStore(tmp_path).get("a", lambda: ones(1))
    found = DiskStore(tmp_path).get("a", never)
    assert isinstance(found.base, np.memmap)
    assert not found.flags.writeable


def test_a_store_is_pickled_without_its_arrays(tmp_path):
    store = DiskStore(tmp_path)
    store.get("a", lambda: ones(100))
    assert len(pickle.dumps(store)) < 2000
    assert pickle.loads(pickle.dumps(store)).get("a", never).sum() == 100_000


def test_memory_evicts_the_least_recently_used():
    store = MemoryStore(2.5e3 / 2**20)  # capacity for two
    for key in ("a", "b", "a", "c"):
        store.get(key, lambda: ones(1))
    store.get("a", never)
    with pytest.raises(AssertionError):
        store.get("b", never)


def test_the_limit_evicts_files_unused_by_this_run(tmp_path):
    old = DiskStore(tmp_path)
    for key in ("a", "b", "c"):
        old.get(key, lambda: ones(1))
    for age, path in enumerate(sorted(tmp_path.glob("??/*"))):
        os.utime(path, (time.time() - 100 + age,) * 2)
    new = DiskStore(tmp_path, max_gb=4.7e-6)
    new.get("a", never)
    new.get("d", lambda: ones(1))
    new.get("e", lambda: ones(1))
    assert new.warning is None
    assert sum(path.stat().st_size for path in tmp_path.glob("??/*")) <= 4700
    DiskStore(tmp_path).get("a", never)


def test_arrays_over_the_limit_stay_in_memory(tmp_path):
    store = DiskStore(tmp_path, max_gb=2.5e-6)
    for key in ("a", "b", "c"):
        store.get(key, lambda: ones(1))
    for key in ("a", "b", "c"):
        assert store.get(key, never).sum() == 1000
    assert len(list(tmp_path.glob("??/*"))) == 2
    assert "exceed store.max_gb=2.5e-06" in store.warning


def test_a_full_disk_and_an_unwritable_folder_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 0))
    full = DiskStore(tmp_path / "full")
    assert full.get("a", lambda: ones(1)).sum() == 1000
    assert "is full" in full.warning
    (tmp_path / "file").touch()
    closed = DiskStore(tmp_path / "file" / "below")
    with closed.exclusive():
        assert closed.get("a", lambda: ones(1)).sum() == 1000
    assert "cannot be written" in closed.warning
    with pytest.raises(FacehallError, match=r"store\.root=.*is a file"):
        DiskStore(tmp_path / "file")


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'"])
def test_a_damaged_file_is_recomputed(tmp_path, damage):
    DiskStore(tmp_path).get("a", lambda: ones(1))
    (path,) = tmp_path.glob("??/*")
    path.write_bytes(damage)
    assert DiskStore(tmp_path).get("a", lambda: ones(1)).sum() == 1000
    assert DiskStore(tmp_path).get("a", never).sum() == 1000


def test_nothing_in_a_store_is_unpickled(tmp_path):
    store = DiskStore(tmp_path)
    store.get("a", lambda: ones(1))
    (path,) = tmp_path.glob("??/*")
    with path.open("wb") as file:
        np.save(file, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    assert DiskStore(tmp_path).get("a", lambda: ones(1)).sum() == 1000


def test_more_arrays_than_open_files_allowed(tmp_path, monkeypatch):
    """A fifth of the real limits: the default one of processes is 1024 files, shared with a training's own."""
    resource = pytest.importorskip("resource")
    assert store_module.MAX_OPEN <= 400
    monkeypatch.setattr(store_module, "MAX_OPEN", 50)
    store, limits = DiskStore(tmp_path), resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 75, limits[1]))
    try:
        for i in range(150):
            store.get(str(i), lambda i=i: np.full(3, i))
        for i in range(150):
            assert store.get(str(i), never)[0] == i
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert store.warning is None


def build(root) -> None:
    store = DiskStore(root)
    for i in range(40):
        store.get(str(i), lambda i=i: np.random.default_rng(i).integers(0, 256, (1000, 1000), dtype=np.uint8))
        print(i, flush=True)


def test_a_killed_build_resumes_with_the_same_result(preloaded, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    build(whole)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from test_store import build; build(sys.argv[2])"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(killed)]
    with preloaded.popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == 7:
                process.send_signal(signal.SIGKILL)
                break
    survived = list(killed.glob("??/*.npy"))
    assert 8 <= len(survived) < 40
    for path in survived:
        assert path.read_bytes() == (whole / path.relative_to(killed)).read_bytes()
    build(killed)
    left = {path.relative_to(killed): path.read_bytes() for path in killed.glob("??/*.npy")}
    assert left == {path.relative_to(whole): path.read_bytes() for path in whole.glob("??/*.npy")}


WRITERS = """
import os, sys, numpy as np
from facehall.data import DiskStore
children = []
for writer in range(4):
    children.append(os.fork())
    if not children[-1]:
        store = DiskStore(sys.argv[1], max_gb=0.0001)
        for i in range(20):
            store.get(f"{writer} {i}", lambda: np.full(10_000, i, np.uint8))
            if i == 0:
                os.write(1, b"started\\n")
                os.read(0, 1)  # wait until all writers have measured the folder
        os.write(1, f"{store.warning}\\n".encode())
        os._exit(0)
statuses = [os.waitpid(child, 0)[1] for child in children]
raise SystemExit(any(statuses))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_limit_holds_for_all_processes_together(preloaded, tmp_path):
    """Forks of one process, as importing torch in each would take longer than all writing."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with preloaded.popen([sys.executable, "-c", WRITERS, str(tmp_path)], **pipes) as writers:
        assert [writers.stdout.readline() for _ in range(4)] == ["started\n"] * 4
        warnings = writers.communicate("go!!")[0].splitlines()
    assert writers.returncode == 0
    written = sum(path.stat().st_size for path in tmp_path.glob("??/*"))
    assert 8e4 < written <= 10e4
    assert len(warnings) == 4
    assert all("exceed store.max_gb=0.0001" in warning for warning in warnings)


def test_files_removed_by_others_free_space(tmp_path):
    store = DiskStore(tmp_path, max_gb=2.5e-6)
    store.get("a", lambda: ones(1))
    store.get("b", lambda: ones(1))
    for path in tmp_path.glob("??/*"):
        path.unlink()
    store.get("c", lambda: ones(1))
    store.get("d", lambda: ones(1))
    assert store.warning is None
    assert len(list(tmp_path.glob("??/*"))) == 2
