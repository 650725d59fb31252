"""Commands that train nothing start without what only trainings need."""

import subprocess
import sys

import pytest

HEAVY = ("lightning", "torchmetrics", "torchvision", "torch._dynamo", "matplotlib.pyplot", "scipy.signal", "scipy.io")
COMMANDS = ("train", "predict", "evaluate", "fit", "mine", "check", "download")


@pytest.mark.slow
def test_nothing_heavy_is_imported():
    """Lightning alone takes as long as torch: two seconds of every `facehall upscale`."""
    modules = ", ".join(f"facehall.{command}" for command in COMMANDS)
    code = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.split() == []
