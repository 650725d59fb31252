"""What the C library does with freed memory."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import numpy as np
from facehall.io.machine import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):  # more than stays mapped by default
        parts = [np.full(1 << 20, 1.0) for _ in range(8)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_used_again():
    default, kept = (
        int(subprocess.run([sys.executable, "-c", COUNT.format(keep=keep)], check=True, capture_output=True).stdout)
        for keep in (False, True)
    )
    assert kept < default / 10
