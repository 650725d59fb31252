"""Every command that README and docs show is run, composed or parsed here.

Blocks under ``<!-- run -->`` are run, in order, in a folder of small pictures, with settings appended that shorten them
(`SMALL`). All others, which would train for minutes or download gigabytes, are checked as far as their arguments go:
facehall's commands with settings are composed by Hydra, its others are parsed, make targets, extras and scripts must
exist. A command of another kind fails the test.
"""

import ast
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from documented import PAGES, ROOT, blocks, commands_of, shown, words_of
from hydra.core.override_parser.overrides_parser import OverridesParser
from small import make_photographs

from facehall.cli.main import COMMANDS, build_parser, main
from facehall.cli.overrides import quote_paths
from facehall.config import plugins
from facehall.imaging import read_rgb, write_picture
from facehall.io.conf import conf_dir
from facehall.models.generators import Generator

HYDRA = {path.stem for path in conf_dir().glob("*.yaml")}
SMALL = {
    "train": [
        *("debug=fast", "trainer=cpu", "trainer.enable_progress_bar=false", "metrics.lpips=none"),
        *("patches.batch_size=2", "patches.patch_size=8", "patches.steps_per_epoch=2", "++losses.perceptual=null"),
    ],
    "evaluate": ["metrics.lpips=none", "repeats=1", "sheet=1"],
    "check": ["patches.patch_size=8"],
    "upscale": ["--backend", "eager"],
}
"""What is appended to a command that is run, in order to shorten it."""
OTHERS = ("wandb", "hf")
"""Programs of others, whose arguments are not checked."""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the pictures that the pages name, in which packages can be imported."""
    make_photographs(tmp_path / "PHOTOS", 6, side=32)
    make_photographs(tmp_path / "my_faces", 6, side=32)
    write_picture(tmp_path / "photo.jpg", read_rgb(tmp_path / "PHOTOS" / "0.png")[:16, :12])
    write_picture(tmp_path / "tiny.png", read_rgb(tmp_path / "PHOTOS" / "1.png")[:9, :8])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known, generators = set(sys.modules), dict(Generator.registry)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.partition(".")[0] == "my_sr":
            del sys.modules[name]
    plugins._imported.discard("my_sr")
    Generator.registry.clear()
    Generator.registry.update(generators)


def marked(page):
    return any(block.mark for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if marked(page)], ids=lambda page: page.stem)
def test_marked_blocks_run(page, desk, monkeypatch):
    for block in blocks(page):
        kind, _, name = block.mark.partition(" ")
        if kind == "file":
            path = desk / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((path.read_text() if path.exists() else "") + "\n\n" + block.text)
        elif kind == "run" and block.language == "python":
            (desk / "block.py").write_text(block.text)
            runpy.run_path(str(desk / "block.py"))
        elif kind == "run":
            assert block.language == "bash"
            for command in commands_of(block.text):
                with monkeypatch.context() as patch:
                    for name, value in re.findall(r"^([A-Z_]+)=(\S+) ", command):
                        patch.setenv(name, value)
                    assert status_of(words_of(command)) == 0, command
        else:
            assert not block.mark, f"unknown mark {block.mark!r}"


def status_of(words):
    """Run a command of facehall in this process."""
    name, *arguments = facehall_command(words)
    if "--help" not in arguments:
        arguments += SMALL.get(name, [])
    try:
        return main([name, *arguments])
    except SystemExit as end:
        return end.code or 0


def facehall_command(words):
    """Return name and arguments of a command of facehall; None for other programs."""
    if words[0] == "facehall":
        return words[1:]
    if words[0] in ("python", "torchrun") and "-m" in words:
        module, *arguments = words[words.index("-m") + 1 :]
        assert module.startswith("facehall."), module
        return [module.removeprefix("facehall."), *arguments]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_shown_commands_are_valid(page, compose_config, monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")  # as set by srun
    run = {command for block in blocks(page) if block.mark == "run" for command in commands_of(block.text)}
    for command in shown(page):
        if command not in run:
            try:
                check(words_of(command), compose_config)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{command}: {error}") from error


def check(words, compose_config):
    own = facehall_command(words)
    if own is not None:
        name, *arguments = own
        if name in HYDRA and "--help" not in arguments:
            compose_config(name, *settings_of(arguments))
        elif arguments:
            build_parser().parse_args([name, *arguments])
        else:
            assert name in COMMANDS, f"no command {name}"
    elif words[0] == "make":
        assert re.search(rf"(?m)^{words[1]}:", (ROOT / "Makefile").read_text())
    elif words[:2] == ["pip", "install"]:
        assert extras(words[-1]) <= known_extras()
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in OTHERS, f"{words[0]} is no command that this test knows"


def settings_of(arguments):
    """Return the settings of a Hydra command, the first of several values; without Ray, which is not installed."""
    given = [word for word in arguments if "=" in word and not word.startswith("--") and word != "sweep=ray"]
    if not {"-m", "--multirun"} & set(arguments):
        return quote_paths(given)
    parsed = OverridesParser.create().parse_overrides(given)
    return [f"{each.key_or_group}={first_of(each)}" if each.is_sweep_override() else each.input_line for each in parsed]


def first_of(override):
    value = override.value()
    return value.start if hasattr(value, "start") else value.list[0]


def extras(requirement):
    found = re.search(r"\[(.*)\]", requirement)
    return set(found[1].split(",")) if found else set()


def known_extras():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[tool")[0]
    return set(re.findall(r"(?m)^(\w+) = \[", section))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_other_languages_are_valid(page):
    """Unmarked Python blocks compile and their imports work; YAML can be read."""
    for block in blocks(page):
        if block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "python" and not block.mark:
            tree = ast.parse(block.text)
            imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
            exec(compile(ast.Module(imports, []), page.name, "exec"), {})


def test_an_unknown_command_is_noticed(compose_config):
    for command in ("facehall nonsense", "frobnicate", "python -m facehall.train nonsense=1", "make nonsense"):
        with pytest.raises(Exception):
            check(shlex.split(command), compose_config)
    assert list(commands_of("a 1; b 2  # c\n# d\nwhile e; [ 1 ]; do f; done")) == ["a 1", "b 2", "e"]


def test_pages_are_found():
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md", ROOT / "docs" / "systems" / "a_plus.md"} <= set(PAGES)
    assert sum(marked(Path(page)) for page in PAGES) >= 5
