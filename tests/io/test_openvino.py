"""OpenVINO reports nothing to its makers."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="needs facehall[openvino]")
def test_importing_it_asks_nobody():
    code = """
import sys
asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event.startswith(("socket.", "subprocess.")) else None)
from facehall.io.openvino import openvino_core
assert openvino_core() is openvino_core()
assert "CPU" in openvino_core().available_devices
assert "openvino_telemetry.main" not in sys.modules
assert not asked, asked
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_imports_it_otherwise():
    statement = re.compile(r"^\s*(import|from) openvino\b", re.MULTILINE)
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    importing = [path for path, text in texts.items() if statement.search(text)]
    assert len(importing) > 1
    for path in importing:
        own = path == SOURCE / "facehall" / "io" / "openvino.py"
        assert own or "from facehall.io.openvino import" in texts[path]
