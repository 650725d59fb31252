"""The picker: prompts on a terminal, lists the files elsewhere."""

import os
import select
import sys
from contextlib import contextmanager

import pytest
from small import write_weights

from facehall.errors import FacehallError
from facehall.inference.picker import MAX_SHOWN, find_weights, pick_weights


@pytest.fixture
def runs(tmp_path):
    """Two runs, and a damaged file that is newer."""
    for age, name in enumerate(("new", "old")):
        path = write_weights(tmp_path / "runs" / name / "weights" / "generator.safetensors")
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "runs" / "new" / "weights" / "broken.safetensors").write_bytes(b"no weights")
    (tmp_path / "runs" / "new" / "weights" / ".x.safetensors.1.part").write_bytes(b"half")
    return tmp_path / "runs"


@contextmanager
def terminal(keys: bytes):
    """Make stdin and stdout a pseudo-terminal on which `keys` are typed; yield a function that reads the screen.

    Not a fixture, because pytest restores its own streams between a fixture and its test.
    """
    master, slave = os.openpty()
    with os.fdopen(slave) as stdin, os.fdopen(os.dup(slave), "w") as stdout, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stdout", stdout)
        os.write(master, keys)

        def screen():
            stdout.flush()
            shown = b""
            while select.select([master], [], [], 0.5)[0]:  # output arrives in pieces
                shown += os.read(master, 100_000)
            return shown.decode()

        yield screen
    os.close(master)


def test_valid_files_are_listed_newest_first(runs):
    assert [path.parts[-3] for path in find_weights(runs)] == ["new", "old"]


@pytest.mark.parametrize(("keys", "chosen"), [(b"\n", "new"), (b"2\n", "old"), (b"7\n2\n", "old"), (b"x\n1\n", "new")])
def test_prompt_on_a_terminal(runs, keys, chosen):
    with terminal(keys) as screen:
        assert pick_weights(runs) == runs / chosen / "weights" / "generator.safetensors"
        shown = screen()
    assert "MultiScaleRRDB" in shown
    assert "Which" in shown


def test_end_of_input_is_an_error(runs):
    with terminal(b"\x04"), pytest.raises(FacehallError, match=r"No weights were chosen.*weights=FILE"):
        pick_weights(runs)


def test_without_a_terminal_files_are_listed(runs):
    with pytest.raises(FacehallError, match="newest first") as error:
        pick_weights(runs)
    lines = str(error.value).splitlines()[1:]
    assert lines == [f"  weights={runs / name / 'weights' / 'generator.safetensors'}" for name in ("new", "old")]


def test_a_long_list_is_truncated(tmp_path):
    for i in range(MAX_SHOWN + 3):
        write_weights(tmp_path / str(i) / "weights" / "generator.safetensors")
    with pytest.raises(FacehallError, match="and 3 older ones") as error:
        pick_weights(tmp_path)
    assert str(error.value).count("weights=") == MAX_SHOWN


def test_no_weights_at_all(tmp_path):
    with pytest.raises(FacehallError, match=r"there are none below .*train first"):
        pick_weights(tmp_path / "nowhere")
