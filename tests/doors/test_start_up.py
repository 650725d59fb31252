"""Commands that train nothing start without what only trainings need."""

import subprocess
import sys

import pytest

HEAVY = (
    *("lightning", "torchmetrics", "torchvision", "torch._dynamo", "sympy"),
    *("matplotlib.pyplot", "scipy.signal", "scipy.io"),
)
COMMANDS = ("predict", "evaluate", "fit", "compare", "mine", "annotate", "check", "download")
STEPS = {"torch": ("train", "sweep"), " ".join(HEAVY): COMMANDS}
"""What the commands beside it, and those before them, do not import."""


@pytest.mark.slow
def test_nothing_heavy_is_imported():
    """Lightning alone takes as long as torch: two seconds of every `facehall upscale`."""
    code = "import sys\n"
    for heavy, commands in STEPS.items():
        code += f"import {', '.join(f'facehall.{command}' for command in commands)}\n"
        code += f"print(*(name for name in {heavy.split()} if name in sys.modules))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.split() == []
