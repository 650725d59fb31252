"""The command ``facehall`` as it is called."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from small import make_photographs, write_weights

from facehall.cli.main import main
from facehall.errors import FacehallError
from facehall.imaging import read_picture, read_rgb, read_size
from facehall.inference import plan, predictor
from facehall.inference.batch import upscale_files
from facehall.models.pretrained import bundled_names
from odd_inputs import CASES, run


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(arguments):
    """The exit status and all that was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    return status, printed.getvalue()


@pytest.mark.parametrize("case", [case for case in CASES if case.suite], ids=lambda case: case.name)
def test_odd_inputs(case):
    result = run(case, command)
    assert not result.problems, result.output


@pytest.fixture
def pictures(tmp_path):
    write_weights(tmp_path / "w.safetensors")
    return make_photographs(tmp_path / "in", 3)


def upscale(*arguments):
    return command(["upscale", "-w", "w.safetensors", "--backend", "eager", *map(str, arguments)])


def test_beside_with_a_suffix_and_again(pictures):
    assert upscale("in/0.png") == (0, "1 of 1 picture written: in/0_x2.png\n")
    assert read_size("in/0_x2.png") == (128, 128)
    before = (pictures / "0_x2.png").read_bytes()
    status, said = upscale("in")
    assert status == 2
    assert "in/0_x2.png already exists; nothing was written" in said
    status, said = upscale("in", "--skip-existing")
    assert status == 0
    assert "2 of 3 pictures written" in said
    assert "1 skipped because the output exists; --overwrite replaces it" in said
    assert (pictures / "0_x2.png").read_bytes() == before
    assert len(list(pictures.iterdir())) == 6


def test_overwrite_is_asked_for(pictures, tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    assert upscale("in/0.png", "-o", "out.png", "--overwrite")[0] == 0
    assert read_size("out.png") == (128, 128)


def test_options_of_writing(pictures):
    assert upscale("in/*.png", "-o", "out", "--format", "webp", "--quality", 50, "--suffix", "_big")[0] == 0
    assert read_size("out/0_big.webp") == (128, 128)
    assert upscale("in/0.png", "-o", "x.jpg", "--quality", 101)[0] == 2
    assert upscale("in/0.png", "-o", "x.png", "--tile", "many")[0] == 2


def test_compare_writes_a_sheet(pictures):
    assert upscale("in/0.png", "-o", "out", "--compare")[0] == 0
    assert read_rgb("out/0.compare.png").shape[1] > 2 * 128


def test_weights_are_listed(pictures, tmp_path):
    said = command(["weights"])[1]
    assert all(name in said for name in bundled_names())
    assert "No other weights found below runs/" in said
    write_weights(tmp_path / "runs" / "a" / "weights" / "generator.safetensors")
    assert "runs/a/weights/generator.safetensors" in command(["weights"])[1]


def test_the_package_has_weights_of_its_own(pictures):
    assert command(["upscale", "in/0.png", "--backend", "eager"]) == (0, "1 of 1 picture written: in/0_x4.png\n")
    assert read_size("in/0_x4.png") == (256, 256)
    status, said = command(["upscale", "in/0.png", "--scale", "3"])
    assert status == 2
    assert "The package has no weights for x3" in said
    assert command(["upscale", "in/0.png", "--scale", "4", "--weights", "w.safetensors"])[0] == 2


def test_export_refuses_what_is_there(pictures, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"old")
    assert "already exists" in command(["export", "w.safetensors", "net.pt"])[1]
    assert "unknown file extension" in command(["export", "w.safetensors", "net.xyz"])[1]
    assert command(["export", "w.safetensors", "new.pt"])[0] == 0
    assert (tmp_path / "new.pt").stat().st_size > 0


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["upscale"], ["upscale", "a.png", "--nonsense"]])
def test_mistakes_in_the_arguments_are_one_line(arguments):
    status, said = command(arguments)
    assert status == 2
    assert len(said.strip().splitlines()) == 1
    assert "--help" in said


def test_help_imports_nothing_heavy():
    code = "import sys; from facehall.cli.main import main\ntry: main(['upscale', '--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('torch', 'numpy', 'PIL', 'rich', 'hydra') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_ctrl_c_leaves_whole_files(pictures, monkeypatch):
    def interrupted(path):
        if path.name == "1.png":
            raise KeyboardInterrupt
        return read_picture(path)

    monkeypatch.setattr(predictor, "read_picture", interrupted)
    status, said = upscale("in", "-o", "out")
    assert status == 130
    assert "run again with --skip-existing for the rest" in said
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png"]


def test_a_picture_that_vanishes_is_named(pictures):
    network = predictor.Predictor("w.safetensors", backend="eager")
    jobs = plan("in", "out")
    (pictures / "1.png").unlink()
    report = upscale_files(network, jobs, overwrite=False)
    assert report.written == 2
    with pytest.raises(FacehallError, match=r"1 of 3 pictures failed:\n  The image in/1\.png does not exist"):
        report.print_summary("", overwrite_option="")
