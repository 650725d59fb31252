"""The configuration: everything in conf/ composes, and only allowed targets are built."""

from itertools import zip_longest

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from facehall.cli.overrides import PATH_KEYS, quote_paths
from facehall.config import build as config
from facehall.config.build import build, conf_dir
from facehall.data import FolderSource
from facehall.errors import FacehallError
from facehall.io import conf

PRIMARY = sorted(path.stem for path in conf_dir().glob("*.yaml"))


def groups(name):
    """{group as in an override: its folder} of a primary config."""
    entries = OmegaConf.load(conf_dir() / f"{name}.yaml").defaults
    keys = [str(key).removeprefix("optional ") for entry in entries if not isinstance(entry, str) for key in entry]
    return {key: key.partition("@")[0] for key in keys if not key.startswith("override ") and key != "hydra"}


def files(name):
    """[(group as in an override, file of an option), …] of a primary config."""
    return [
        (group, path) for group, folder in groups(name).items() for path in sorted((conf_dir() / folder).glob("*.yaml"))
    ]


def is_plain(path):
    """Whether an option has neither defaults nor a package of its own: what it holds stands under its group's key."""
    text = path.read_text(encoding="utf-8")
    return "@package" not in text and "\ndefaults:" not in f"\n{text}"


def options(name):
    """[[group=option, …], …] of the other options: those that change the whole config alone, others together."""
    alone, columns = [], {}
    for group, path in files(name):
        if "@package _global_" in path.read_text(encoding="utf-8"):
            alone.append([f"{group}={path.stem}"])
        elif not is_plain(path):
            columns.setdefault(group, []).append(f"{group}={path.stem}")
    together = ([option for option in row if option] for row in zip_longest(*columns.values()))
    return [*alone, *together]


OPTIONS = [pytest.param(name, chosen, id=f"{name}-{'-'.join(chosen)}") for name in PRIMARY for chosen in options(name)]
PLAIN = sorted({(name, group) for name in PRIMARY for group, path in files(name) if is_plain(path)})


def check_targets(node):
    for target in config._targets(node):
        config._check_target(target, "test")


def resolved(cfg):
    """Fill in everything that a command line or a running Hydra would fill in."""
    for key in ("run_dir", "output"):
        if key in cfg:
            cfg[key] = "somewhere"
    if "scale" in cfg and cfg.scale is None:
        cfg.scale = 4
    assert OmegaConf.missing_keys(cfg) <= {"data.root", "patches.root", "input", "output"}
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, "somewhere")
    OmegaConf.resolve(cfg)
    return cfg


LAUNCHERS = {"ray": "ray", "slurm": "submitit", "submitit_local": "submitit"}
"""Options of sweep=… that need the extra `sweeps`, which the tests do not install."""


@pytest.mark.parametrize(("name", "chosen"), OPTIONS)
def test_every_option_of_every_group_composes(compose_config, monkeypatch, name, chosen):
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")  # as set by srun
    group, _, option = chosen[0].partition("=")
    if group == "sweep" and option in LAUNCHERS:
        pytest.importorskip(f"hydra_plugins.hydra_{LAUNCHERS[option]}_launcher", reason="needs the extra sweeps")
    try:
        check_targets(resolved(compose_config(name, *chosen)))
    except Exception:
        for option in chosen:  # which of them it is
            try:
                check_targets(resolved(compose_config(name, option)))
            except Exception as error:
                raise AssertionError(f"{name}: {option} does not compose") from error
        raise


@pytest.mark.parametrize(("name", "group"), PLAIN)
def test_every_plain_option_has_what_it_refers_to(compose_config, name, group):
    """Put in place of the default, without Hydra, which takes several times as long."""
    for path in (path for each, path in files(name) if each == group and is_plain(path)):
        cfg = compose_config(name)
        OmegaConf.update(cfg, group, OmegaConf.load(path), merge=False, force_add=True)
        try:
            check_targets(resolved(cfg))
        except Exception as error:
            raise AssertionError(f"{name}: {group}={path.stem} does not fit") from error


def test_no_option_is_left_out():
    for name in PRIMARY:
        chosen = [option for each in options(name) for option in each]
        plain = [f"{group}={path.stem}" for group, path in files(name) if is_plain(path)]
        assert sorted(chosen + plain) == sorted(f"{group}={path.stem}" for group, path in files(name))


@pytest.mark.parametrize("name", PRIMARY)
def test_every_primary_config_composes(compose_config, name):
    check_targets(resolved(compose_config(name)))


def test_no_config_starts_a_sweep_by_itself():
    """So that the tests need not ask for `hydra.mode` (fast_hydra)."""
    assert not any("MULTIRUN" in path.read_text(encoding="utf-8") for path in conf_dir().rglob("*.yaml"))


def test_every_folder_of_conf_is_used():
    used = {folder for name in PRIMARY for folder in groups(name).values()}
    used |= {"hydra", "system"}  # system: entries of the catalogue
    assert {path.name for path in conf_dir().iterdir() if path.is_dir()} == used


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "os.system", "command": "touch pwned"}, "would call 'os.system', but only"),
        ({"_target_": "torch.os.system", "command": "touch pwned"}, "would call 'torch.os.system', but only"),
        ({"_target_": "facehall.data.FolderSource", "root": {"_target_": "builtins.eval"}}, "'builtins.eval'"),
        ({"_target_": "facehall.data.FolderSource", "root": [{"_target_": "os.getcwd"}]}, "'os.getcwd'"),
        ({"_target_": "torchish.evil"}, "'torchish.evil', but only"),
        ({"_target_": "${name}", "name": "os.getcwd"}, "'os.getcwd', but only"),
        ({"_target_": "facehall.data.FolderSauce"}, "'facehall.data.FolderSauce' cannot be found"),
        ({"_target_": "facehall.data.FolderSource", "rot": "x"}, "data: .*unexpected keyword argument 'rot'"),
        ({"_target_": "facehall.data.FolderSource", "root": "???"}, "root has no value yet: give one"),
        ({"_target_": "facehall.data.FolderSource", "root": "${nowhere}"}, "Interpolation key 'nowhere' not found"),
        (
            {"_target_": "facehall.data.Div2kSource", "root": "x", "scale": 4, "lr": "no"},
            r"^data\.lr=no: expected make or official",
        ),
    ],
)
def test_build_rejects(tmp_path, monkeypatch, node, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacehallError, match=message):
        build(OmegaConf.create(node), "data")
    assert not list(tmp_path.iterdir())


def test_build_rejects_targets_behind_an_interpolation():
    cfg = OmegaConf.create(
        {"evil": {"_target_": "os.getcwd"}, "data": {"_target_": "facehall.data.FolderSource", "root": "${evil}"}}
    )
    with pytest.raises(FacehallError, match=r"'os\.getcwd', but only"):
        build(cfg.data, "data")


def test_a_nested_missing_value_is_named_in_full(compose_config):
    with pytest.raises(FacehallError, match=r"^data\.root has no value yet: .* data\.root=VALUE"):
        build(compose_config("evaluate", "data=images").data, "data")


def test_build_instantiates_and_gives_none_for_an_empty_node(tmp_path):
    source = build(OmegaConf.create({"_target_": "facehall.data.FolderSource", "root": str(tmp_path)}), "data")
    assert isinstance(source, FolderSource)
    assert build(OmegaConf.create({}), "discriminator") is None
    assert build(None, "discriminator") is None


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), key=st.sampled_from(PATH_KEYS))
@settings(deadline=None, max_examples=200)
def test_any_path_reaches_the_config_unchanged(value, key):
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if quoted or value == "null":
        return
    (argument,) = quote_paths([f"{key}={value}"])
    assert OverridesParser.create().parse_override(argument).value() == value
    assert quote_paths([argument]) == [argument]  # a distributed training passes its arguments on to its processes


@pytest.mark.parametrize(
    "arguments",
    [
        ["weights=null", "input=", "resume='a b'", 'output="a b"', "scale=4", "data=images", "-c", "job", "photo.png"],
        ["-m", "data.root=a,b"],
        ["--multirun", "resume=a,b"],
    ],
)
def test_other_arguments_are_unchanged(arguments):
    assert quote_paths(arguments) == arguments


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_added_keys_are_paths_as_well(prefix):
    assert quote_paths([f"{prefix}data.root=a b"]) == [f"{prefix}data.root='a b'"]


def test_an_installed_package_finds_its_own_configuration(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "facehall"
    (package / "conf").mkdir(parents=True)
    (package / "conf" / "train.yaml").touch()
    monkeypatch.setattr(conf, "__file__", str(package / "io" / "conf.py"))
    assert conf_dir() == package / "conf"
    (package / "conf" / "train.yaml").unlink()
    with pytest.raises(FacehallError, match=r"conf/ is missing.*Reinstall the package"):
        conf_dir()
