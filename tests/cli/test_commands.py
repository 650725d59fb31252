"""The command line: --help of every sub-command is fast, and Hydra sub-commands run ``python -m facehall.X``."""

import argparse
import os
import shutil
import subprocess
import sys

import pytest

import facehall
from facehall.cli import hydra_command
from facehall.cli.choices import completions, groups
from facehall.cli.main import COMMANDS, build_parser, main
from facehall.cli.parser import weights_completer
from facehall.io.logs import LEVEL_VARIABLE
from facehall.models.pretrained import bundled_names

HYDRA = ("train", "fit", "evaluate", "compare", "predict", "sweep", "check", "annotate", "mine", "download")


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(LEVEL_VARIABLE, "info")


def status(*arguments):
    try:
        return main(list(map(str, arguments)))
    except SystemExit as end:
        return end.code


def test_help_of_every_command_imports_no_torch():
    code = "import sys; from facehall.cli.main import main, COMMANDS\nfor name in [[], *([c] for c in COMMANDS)]:\n"
    code += "    try: main([*name, '--help'])\n    except SystemExit as end: assert end.code == 0, name\n"
    code += "print([name for name in ('torch', 'lightning', 'numpy', 'PIL', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.count("usage: facehall") == 1 + len(COMMANDS)


def test_python_m_facehall_is_the_command():
    done = subprocess.run([sys.executable, "-m", "facehall", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{facehall.__version__}\n"


@pytest.mark.parametrize("name", HYDRA)
def test_help_lists_the_groups(name, capsys):
    assert status(name, "data=folder", "--help") == 0
    output = capsys.readouterr().out
    assert f"conf/{name}.yaml" in output
    for group in groups(name):
        assert f"  {group} " in output


def test_a_hydra_command_runs_the_module(photographs, capsys):
    assert status("check", "data=folder", "data.root=photographs", "patches.patch_size=8", "scale=2") == 0
    assert capsys.readouterr().out == "6 of 6 pictures can be used: 4 train, 1 val, 1 test.\n"
    assert status("check", "data=foldr") == 2
    assert "data=foldr: no such option. Did you mean 'folder'?" in capsys.readouterr().err
    assert status("train", "seed=2", "--cfg", "job", "--package", "name") == 0  # Hydra's own flags
    assert "esrgan" in capsys.readouterr().out


def test_child_processes_of_a_training_run_the_same_module(tmp_path, monkeypatch, capsys):
    (tmp_path / "probe.py").write_text(
        "import sys, os\n"
        "from lightning.fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd\n"
        "print(_basic_subprocess_cmd()[1:], __name__, os.environ['FACEHALL_LOG'])\n"
    )
    monkeypatch.setattr(facehall, "__path__", [*facehall.__path__, str(tmp_path)])
    before = list(sys.argv)
    hydra_command._run(argparse.Namespace(primary="probe", overrides=["a=1", "-m"], level="debug"))
    assert capsys.readouterr().out == "['-m', 'facehall.probe', 'a=1', '-m'] __main__ debug\n"
    assert sys.argv == before


@pytest.mark.parametrize("arguments", [["-q", "train", "seed=2"], ["train", "-q", "seed=2"], ["train", "seed=2", "-q"]])
def test_verbosity_options_are_accepted_anywhere(arguments):
    options = build_parser().parse_args(arguments)
    assert options.level == "quiet"
    assert options.overrides == ["seed=2"]


def test_quiet_omits_the_summary(photographs, monkeypatch, capsys):
    arguments = ["mine", "data=folder", "data.root=photographs", "patch_size=8", "scale=2", "patches_per_image=1"]
    assert status(*arguments, "output=a", "mining=none", "workers=0") == 0
    assert "patches" in capsys.readouterr().out
    assert status(*arguments, "output=b", "mining=none", "workers=0", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_verbose_shows_the_traceback_of_a_user_error(capsys):
    assert status("upscale", "nowhere.png") == 2
    assert "Traceback" not in capsys.readouterr().err
    assert status("upscale", "nowhere.png", "-v") == 2
    output = capsys.readouterr().err
    assert "Traceback" in output
    assert output.rstrip().splitlines()[-1].startswith("facehall: input=nowhere.png")


# --------------------------------------------------------------------------------------------------- completion


def test_choices_of_a_hydra_command():
    assert "experiment=esrgan_vgg16s" in completions("train", "experiment=es")
    assert {"experiment=", "scale=", "seed="} <= set(completions("train", ""))
    assert "generator.growth=" in completions("train", "generator.g")
    assert "training.ema_decay=" in completions("train", "training.")
    assert completions("train", "nonsense=") == []
    assert completions("train", "nonsense.") == []
    assert not any("defaults" in key for key in completions("train", ""))


def test_weights_are_completed_by_name():
    assert weights_completer() == bundled_names()


@pytest.fixture
def tab(tmp_path):
    """Return bash's completions of a line, using the script of `facehall completion bash`."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    command = tmp_path / "bin" / "facehall"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m facehall "$@"\n')
    command.chmod(0o755)
    script = subprocess.run([command, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}

    def complete(line):
        query = f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 COMP_WORDS=(facehall)\n"
        query += '_python_argcomplete facehall\nprintf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{query}"], env=environment, capture_output=True, text=True, check=True
        )
        return [word.strip() for word in done.stdout.split("\n") if word.strip()]

    return complete


def test_bash_completes(tab):
    assert tab("facehall up") == ["upscale"]
    assert "--skip-existing" in tab("facehall upscale --s")
    names = ["facehall-x8", "facehall-x8_aligned", "facehall-x8_aligned_psnr", "facehall-x8_psnr"]
    assert tab("facehall upscale -w facehall-x8") == names
    assert "esrgan_vgg16s" in " ".join(tab("facehall train scale=4 experiment=es"))


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef facehall"), ("fish", "complete --command facehall")])
def test_scripts_for_other_shells(shell, mark, capsys):
    assert status("completion", shell) == 0
    assert mark in capsys.readouterr().out
