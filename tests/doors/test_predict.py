"""The predict command: output files, messages and errors."""

import io
import os
import sys

import numpy as np
import pytest
from PIL import Image
from small import run_command, write_weights

from facehall.imaging import read_rgb, write_picture
from facehall.inference import predictor
from facehall.predict import main


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weights(tmp_path):
    return write_weights(tmp_path / "w.safetensors")


def test_a_folder(weights, photographs, tmp_path, capsys):
    assert run_command(main, f"weights={weights}", f"input={photographs}", "output=out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{i}.png" for i in range(6)]
    assert read_rgb(tmp_path / "out" / "0.png").shape == (128, 128, 3)
    assert "6 of 6 pictures written to out, x2 with" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photographs", "w.safetensors"]
    assert run_command(main, f"weights={weights}", f"input={photographs}", "output=out") == 0
    assert "6 skipped because the output exists; overwrite=true replaces it" in capsys.readouterr().out


def test_a_folder_into_itself_twice(weights, photographs, capsys):
    for _ in range(2):
        assert run_command(main, f"weights={weights}", f"input={photographs}", f"output={photographs}/x2") == 0
    assert "0 of 6 pictures written" in capsys.readouterr().out
    assert len(list((photographs / "x2").rglob("*.png"))) == 6


@pytest.mark.parametrize(
    "name",
    [
        "my photo.png",
        "a=b.png",
        "face (1).png",
        "a, b.png",
        "[x]{y}.png",
        "it's.png",
        'say "hi".png',
        "back\\slash'.png",
        "Jürgen & Zoë #1 ~.png",
        "007.png",
    ],
)
def test_file_names_are_taken_literally(weights, tmp_path, name):
    write_picture(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    assert run_command(main, f"weights={weights}", f"input={name}", "output=out, too") == 0
    assert read_rgb(tmp_path / "out, too" / name).shape == (8, 8, 3)


@pytest.mark.parametrize("folder", ["007", "null_", "1e3", "true", "2024-01-02"])
def test_folders_that_look_like_numbers(weights, tmp_path, folder):
    write_picture(tmp_path / folder / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert run_command(main, f"weights={weights}", f"input={folder}", "output=1.50") == 0
    assert (tmp_path / "1.50" / "a.png").is_file()


def test_bmp_becomes_png_with_a_message(weights, tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.bmp")
    assert run_command(main, f"weights={weights}", "input=a.bmp", "output=out") == 0
    assert (tmp_path / "out" / "a.png").is_file()
    assert "(.bmp) became .png" in capsys.readouterr().out


def test_output_options(weights, photographs, tmp_path):
    arguments = ["input=photographs/*.png", "output=out", "format=webp", "quality=50", "suffix=_big", "compare=true"]
    assert run_command(main, f"weights={weights}", *arguments, "backend=eager", "tile=32", "ensemble=true") == 0
    names = [name for i in range(6) for name in (f"{i}_big.compare.png", f"{i}_big.webp")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert run_command(main, f"weights={weights}", "input=photographs/0.png", "output=large.png") == 0
    assert read_rgb(tmp_path / "large.png").shape == (128, 128, 3)


def test_failures_are_listed_after_the_rest_is_done(weights, photographs, tmp_path, capsys):
    (photographs / "3.png").write_bytes(b"")
    assert run_command(main, f"weights={weights}", f"input={photographs}", "output=out") == 2
    assert len(list((tmp_path / "out").iterdir())) == 5
    shown = capsys.readouterr()
    assert "5 of 6 pictures written" in shown.out
    assert f"facehall: 1 of 6 pictures failed:\n  The image {photographs / '3.png'} is empty" in shown.err


def test_a_long_list_of_failures_is_truncated(weights, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for i in range(25):
        (tmp_path / "in" / f"{i:02}.png").touch()
    assert run_command(main, f"weights={weights}", "input=in", "output=out") == 2
    shown = capsys.readouterr().err
    assert shown.count("is empty") == 20
    assert "and 5 more" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["input=nowhere", "output=out"], "input=nowhere: no such file or folder"),
        (["output=out"], "input has no value yet"),
        (["input=photographs"], "output has no value yet: give one on the command line, output=VALUE"),
        (["input=photographs", "output=photographs"], "would be overwritten"),
        (["input=photographs", "output=out", "weights=nowhere.safetensors"], "no such weights file"),
        (["input=photographs", "output=out", "weights=photographs/0.png"], "not a readable safetensors file"),
        (["input=photographs", "output=out", "weights=null"], "No weights were given, and there are none below runs/"),
        (["input=photographs", "output=out", "tile=0"], "tile=0"),
        (["input=photographs", "output=out", "quality=0"], "quality=0: must be from 1 to 100"),
        (["input=photographs", "output=out", "format=gif"], "format=gif: choose one of same, png, jpg, webp"),
        (["inptu=photographs", "output=out"], "the config has no key 'inptu'. Did you mean 'input'?"),
        (["photographs/0.png", "output=out"], "'photographs/0.png' is not of the form KEY=VALUE"),
    ],
)
def test_errors_are_one_paragraph(weights, photographs, tmp_path, capsys, arguments, says):
    before = set(tmp_path.rglob("*"))
    given = arguments if any("weights" in argument for argument in arguments) else [*arguments, f"weights={weights}"]
    assert run_command(main, *given) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert shown.startswith("\nfacehall: ")
    assert len(shown.strip().splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before


def test_ctrl_c_leaves_complete_files(weights, photographs, tmp_path, monkeypatch, capsys):
    def interrupted(path):
        if path.name == "2.png":
            raise KeyboardInterrupt
        return read_picture(path)

    read_picture = predictor.read_picture
    monkeypatch.setattr(predictor, "read_picture", interrupted)
    assert run_command(main, f"weights={weights}", f"input={photographs}", "output=out") == 130
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]
    assert "run the same command for the rest" in capsys.readouterr().err


def test_without_a_terminal_the_weights_are_listed(photographs, tmp_path, monkeypatch, capsys):
    found = write_weights(tmp_path / "runs" / "a" / "weights" / "generator.safetensors")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run_command(main, "input=photographs", "output=out") == 2
    shown = capsys.readouterr().err
    assert f"weights={found.relative_to(tmp_path)}" in shown
    assert "Traceback" not in shown


def test_on_a_terminal_the_weights_are_chosen(preloaded, photographs, tmp_path):
    write_weights(tmp_path / "runs" / "a" / "weights" / "generator.safetensors")
    master, slave = os.openpty()
    os.write(master, b"1\n")
    command = [sys.executable, "-m", "facehall.predict", "input=photographs/0.png", "output=out"]
    done = preloaded.run(command, timeout=240, stdin=slave, stdout=slave)
    os.close(slave)
    screen = os.read(master, 100_000).decode()
    os.close(master)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 picture written to out" in screen
    assert read_rgb(tmp_path / "out" / "0.png").shape == (128, 128, 3)
