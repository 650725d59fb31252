"""C++ functions compiled on the user's machine on first use, for what plain torch cannot compute fast."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir

COMPILERS = ("c++", "g++", "clang++")
BASE_FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno")
# Named instruction sets, not -march=native: the cache may lie on a disk that machines share.
INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
}
TIMEOUT = 300
"""Seconds."""


@functools.cache
def compiled(name: str) -> ctypes.CDLL:
    """Return the functions of ``name.cpp`` beside this file, compiled with OpenMP; later processes find the result.

    OpenMP's threads are those of torch, whose copy of its library is already loaded.

    Raises:
        FacehallError: there is no compiler (CXX, or one of `COMPILERS`), or it fails.
    """
    source = Path(__file__).with_name(f"{name}.cpp").read_bytes()
    compiler = _compiler()
    flags = [*BASE_FLAGS, *INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())]
    key = hashlib.sha256(b"\0".join([source, *map(str.encode, (compiler, sys.platform, *flags))])).hexdigest()
    library = cache_dir() / "native" / f"{name}-{key[:16]}.so"
    if not library.is_file():
        _compile(compiler, flags, source, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise FacehallError(f"{library} cannot be loaded: {error}. Delete it, and it is compiled again.") from None


def _compiler() -> str:
    named = os.environ.get("CXX")
    candidates = (named,) if named else COMPILERS
    for candidate in candidates:
        if found := shutil.which(candidate):
            return found
    wanted = f"CXX={named} is not a program" if named else f"none of {', '.join(COMPILERS)} is installed"
    raise FacehallError(f"No C++ compiler: {wanted}. Install g++ or clang++, or let CXX name one.")


def _compile(compiler: str, flags: list[str], source: bytes, library: Path) -> None:
    try:
        with replacing(library) as partial:
            command = [compiler, "-x", "c++", "-", *flags, "-o", str(partial)]
            subprocess.run(command, input=source, capture_output=True, check=True, timeout=TIMEOUT)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
        reason = lines[0] if lines else f"exit status {error.returncode}"
        raise FacehallError(f"{compiler} cannot compile {library.name}: {reason}.") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise FacehallError(f"{compiler} cannot compile {library}: {error}.") from None
