"""The cache folder, and the dependencies of facehall.io."""

import subprocess
import sys

from facehall.io.cache import cache_dir


def test_cache_folder(monkeypatch, machine):
    assert cache_dir() == machine / "cache"
    monkeypatch.delenv("FACEHALL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "xdg"))
    assert cache_dir() == machine / "xdg" / "facehall"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(machine))
    assert cache_dir() == machine / ".cache" / "facehall"


def test_io_imports_neither_torch_nor_image_libraries():
    code = (
        "import importlib, pkgutil, sys, facehall.io as io\n"
        "for module in pkgutil.iter_modules(io.__path__, 'facehall.io.'): importlib.import_module(module.name)\n"
        "print(*{'torch', 'numpy', 'cv2', 'PIL'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
