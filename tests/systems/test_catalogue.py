"""Reading the catalogue: every file of conf/system, and mistakes in one."""

import pytest
import torch

from facehall.config.build import build
from facehall.errors import FacehallError
from facehall.inference.upscalers import how_to_obtain
from facehall.io.conf import conf_dir
from facehall.systems import PublishedFigure, System, load_catalogue, read_catalogue
from facehall.training.optimizers import build_optimizer


def write(folder, text):
    (folder / "srcnn.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_catalogue_is_the_folder():
    assert list(load_catalogue()) == sorted(path.stem for path in (conf_dir() / "system").glob("*.yaml"))
    bicubic = load_catalogue()["bicubic"]
    assert (bicubic.kind, bicubic.recipe, bicubic.weights) == ("interpolation", None, None)
    assert [figure.psnr for figure in bicubic.figures("set5", 4)] == [28.42]
    assert bicubic.figures("Set5", 8) == ()
    assert load_catalogue()["facehall-x8"].scales == (8,)


def test_an_entry_as_written(tmp_path):
    text = """
title: SRCNN 9-1-5
scales: [2, 3]
recipe: zoo/srcnn
published_weights: srcnn
tables: [1, 2]
published:
  - { set: Set5, scale: 3, channel: y, psnr: 32, ssim: 0.9 }
  - { set: DIV2K, scale: 3, channel: rgb, lpips: 0.2, border: 9, source: another paper }
"""
    figures = (
        PublishedFigure("Set5", 3, "y", 32, 0.9),
        PublishedFigure("DIV2K", 3, "rgb", lpips=0.2, border=9, source="another paper"),
    )
    expected = System(
        "SRCNN 9-1-5", scales=(2, 3), recipe="zoo/srcnn", published_weights="srcnn", tables=(1, 2), published=figures
    )
    assert read_catalogue(write(tmp_path, text)) == {"srcnn": expected}
    assert [figure.protocol for figure in figures] == ["Y, border 3", "RGB, border 9"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected KEY: VALUE lines, not None"),
        ("- a\n", r"expected KEY: VALUE lines, not \['a'\]"),
        ("title: [a\n", r"not a readable YAML file"),
        ("title: a\nscale: 4\n", r"unknown key 'scale'. Known keys: title, paper, scales"),
        ("paper: a\n", r"title is missing"),
        ("title: 4\n", r"title must be text, not 4"),
        ("title: a\nscales: [x]\n", r"scales must be a list of integers, not \['x'\]"),
        ("title: a\nkind: net\n", r"kind must be one of network, classical, interpolation, not 'net'"),
        ("title: a\nfaces_only: 1\n", r"faces_only must be true or false, not 1"),
        ("title: a\nrecipe: 1\n", r"recipe must be text or null, not 1"),
        ("title: a\nrecipes: zoo/a\n", r"recipes must be scales with an experiment each, \{4: NAME\}, not 'zoo/a'"),
        ("title: a\nrecipes: {x4: zoo/a}\n", r"recipes must be scales with an experiment each"),
        ("title: a\npublished: {set: a}\n", r"published must be a list of figures"),
        ("title: a\npublished: [{set: a, scale: 4}]\n", r"published figure 1: channel is missing"),
        ("title: a\npublished: [{set: a, scale: true, channel: y}]\n", r"published figure 1: scale must be an integer"),
        ("title: a\npublished: [{set: a, scale: 4, channel: Y}]\n", r"channel must be y or rgb, not 'Y'"),
        ("title: a\npublished: [{set: a, scale: 4, channel: y, psnr: x}]\n", r"psnr must be a number or null, not 'x'"),
    ],
)
def test_mistakes_are_named_with_their_file(tmp_path, text, message):
    with pytest.raises(FacehallError, match=rf"srcnn\.yaml: (.*: )?{message}"):
        read_catalogue(write(tmp_path, text))


def test_a_scale_may_have_a_recipe_of_its_own(tmp_path):
    (system,) = read_catalogue(write(tmp_path, "title: a\nrecipe: zoo/a\nrecipes: {4: zoo/a_x4}\n")).values()
    assert [system.recipe_at(scale) for scale in (2, 4, 8)] == ["zoo/a", "zoo/a_x4", "zoo/a"]


def test_every_recipe_is_an_experiment():
    for name, system in load_catalogue().items():
        for recipe in filter(None, (system.recipe, *system.recipes.values())):
            assert (conf_dir() / "experiment" / f"{recipe}.yaml").is_file(), f"{name}: {recipe}"


@pytest.mark.parametrize("name", [name for name, system in load_catalogue().items() if system.own_optimizer])
def test_every_own_optimizer_fits_its_recipe(compose_config, name):
    system = load_catalogue()[name]
    cfg = compose_config("train", f"experiment={system.recipe}", "scale=4", *system.own_optimizer)
    optimizer = build(cfg.optimizer.generator, "optimizer.generator")
    build_optimizer(optimizer, torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 3) for _ in range(3))))
    assert optimizer.keywords["lr"] != 5e-4  # the default of conf/optimizer, which no recipe has


def test_the_way_to_weights_is_that_of_the_scale():
    assert how_to_obtain("pfsr", 4).endswith("experiment=zoo/pfsr_x4")
    assert how_to_obtain("pfsr", 8).endswith("experiment=zoo/pfsr")
    assert how_to_obtain("pfsr").endswith("experiment=zoo/pfsr")
