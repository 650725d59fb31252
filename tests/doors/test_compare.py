"""The compare command: the catalogue's systems on sets, missing ones listed, trained or left out."""

import json

import pytest
from small import make_photographs, run_command, tiny_generator, write_weights

from facehall.assets import WeightsNotFoundError
from facehall.compare import compare, main
from facehall.errors import FacehallError
from facehall.metrics.judges.perceptual import DISTSJudge
from facehall.models.weights import save_generator

CHEAP = ["metrics.measures=[psnr,psnr_y]", "repeats=1", "cost_side=16", "scale=2"]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch, small_catalogue):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sets(tmp_path):
    """A folder with Set5 and faces."""
    make_photographs(tmp_path / "sets" / "Set5", 5)
    make_photographs(tmp_path / "sets" / "faces" / "test", 2, seed=1)
    return tmp_path / "sets"


@pytest.fixture
def run(compose_config, tmp_path):
    def start(*overrides):
        return compare(compose_config("compare", f"output={tmp_path / 'report'}", *CHEAP, *overrides))

    return start


def test_systems_on_sets_with_published_figures(run, sets, tmp_path, capsys):
    tiny = write_weights(tmp_path / "tiny.safetensors")
    found = run("set=[set5,faces]", f"root={sets}", f"files={{tiny: {tiny}, faces: {tiny}}}")
    assert [(row["set"], row["method"]) for row in found.rows()] == [
        *(("set5", "bicubic"), ("set5", "tiny"), ("faces", "bicubic"), ("faces", "faces"), ("faces", "tiny")),
        *(("mean", "bicubic"), ("mean", "tiny")),
    ]
    assert [row["published"] for row in found.rows()[:2]] == ["33.66 / .9299 (Y, border 2)", "21.25 (Y, border 2)"]
    assert found.rows()[2]["published"] is None
    assert found.rows()[1]["parameters"] == sum(parameter.numel() for parameter in tiny_generator().parameters())
    assert [(each.name, each.advice) for each in found.missing] == [("secret", "write to its authors")]
    assert {"crops_set5.png", "crops_faces.png", "psnr_over_ms.png", "table.md"} <= {
        path.name for path in (tmp_path / "report").iterdir()
    }
    text = capsys.readouterr().out
    assert "secret: write to its authors" in text
    assert "are in report." in text


def test_systems_for_faces_need_a_set_of_faces(run, sets, tmp_path):
    tiny = write_weights(tmp_path / "tiny.safetensors")
    given = ["sheet=0", f"files={{faces: {tiny}}}", "systems=[faces]"]
    found = run("set=[set5]", f"root={sets}", *given)
    assert [row["method"] for row in found.rows()] == ["bicubic"]
    assert [(each.name, each.advice) for each in found.missing] == [("faces", "it needs a set of aligned faces")]
    alike = run(f"sets={{london: {sets / 'Set5'}}}", "face_sets=[london]", *given)
    assert [row["method"] for row in alike.rows()] == ["bicubic", "faces"]
    assert alike.rows()[0]["published"] is None  # a folder, not the benchmark
    folder = run(f"set=[{sets / 'Set5'}]", "systems=[bicubic]", "sheet=0")
    assert [row["set"] for row in folder.rows()] == ["Set5"]


def test_measures_without_weights_are_left_out_and_named(run, sets, tmp_path, monkeypatch):
    def unavailable(self):
        raise WeightsNotFoundError("The DISTS weights are not on this machine.")

    monkeypatch.setattr(DISTSJudge, "__init__", unavailable)
    measures = ["metrics.measures=[psnr,dists]", "systems=[bicubic]", "sheet=0"]
    found = run("set=[set5]", f"root={sets}", *measures)
    assert "dists" not in found.rows()[0]
    text = " ".join((tmp_path / "report" / "table.txt").read_text().split())
    assert "DISTS is missing: The DISTS weights are not on this machine." in text
    with pytest.raises(WeightsNotFoundError):
        run("set=[set5]", f"root={sets}", *measures, "metrics.skip_missing=false")


def test_missing_systems_with_a_recipe_are_trained(run, sets, tmp_path, monkeypatch):
    calls = []

    def train_recipe(folder, recipe, scale, settings, minutes, steps):
        calls.append((str(folder), recipe, scale, settings, minutes))
        if len(calls) == 1:
            return "killed by SIGKILL"
        save_generator(folder / "weights" / "generator_ema.safetensors", tiny_generator())
        (folder / "summary.json").write_text('{"seconds": 30}')
        return ""

    monkeypatch.setattr("facehall.sweeps.recipes.train_recipe", train_recipe)
    given = [
        "set=[set5]",
        f"root={sets}",
        "sheet=0",
        "train=missing",
        "train.minutes=2",
        "train.settings='seed=3 data.root=\"a b\"'",
    ]
    failed = run(*given)
    assert [row["method"] for row in failed.rows()] == ["bicubic"]
    assert failed.failures == {"tiny": "killed by SIGKILL (runs/zoo/tiny_x2)"}
    found = run(*given)
    assert calls == [("runs/zoo/tiny_x2", "esrgan_vgg16s", 2, ["seed=3", "data.root=a b"], 2)] * 2
    (tiny,) = (row for row in found.rows() if row["method"] == "tiny")
    assert (tiny["training_minutes"], tiny["weights"]) == (0.5, "trained here")
    run(*given)
    assert len(calls) == 2  # it has weights now; nothing is trained for faces without a set of them
    run(*given, "face_sets=[set5]", "train.face_settings='seed=4'")
    assert calls[2:] == [("runs/zoo/faces_x2", "release_x4_psnr", 2, ["seed=4"], 2)]
    assert json.loads((tmp_path / "report" / "table.json").read_text())["systems"]["tiny"]["origin"] == "trained"


def test_a_recipe_starts_from_the_weights_of_another_system(run, sets, monkeypatch):
    calls = []

    def train_recipe(folder, recipe, scale, settings, minutes, steps):
        calls.append((folder.name, settings))
        if folder.name == "tiny_x4" and len(calls) > 1:
            save_generator(folder / "weights" / "generator_ema.safetensors", tiny_generator(4))
            (folder / "summary.json").write_text("{}")
        return "" if len(calls) > 1 else "no data"

    monkeypatch.setattr("facehall.sweeps.recipes.train_recipe", train_recipe)
    given = ["set=[set5]", f"root={sets}", "scale=4", "sheet=0", "train=missing", "systems=[gan,tiny]"]
    failed = run(*given)
    assert failed.failures["gan"] == "it starts from a training of tiny, which there is not"
    assert [row["method"] for row in run(*given).rows()] == ["bicubic", "tiny"]
    weights = "runs/zoo/tiny_x4/weights/generator_ema.safetensors"
    assert calls == [("tiny_x4", []), ("tiny_x4", []), ("gan_x4", [f"init={weights}"])]


def test_equal_steps_with_each_systems_own_optimizer(run, sets, monkeypatch):
    calls = []

    def train_recipe(folder, recipe, scale, settings, minutes, steps):
        calls.append((settings, minutes, steps))
        return "no data"

    monkeypatch.setattr("facehall.sweeps.recipes.train_recipe", train_recipe)
    given = ["set=[set5]", f"root={sets}", "sheet=0", "train=missing", "systems=[tiny]", "train.settings='seed=3'"]
    run(*given, "train.steps=50")
    run(*given, "train.own_optimizer=true")
    assert calls == [(["seed=3"], None, 50), (["seed=3", "optimizer=sgd", "optimizer.generator.lr=0.1"], None, None)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set=set5", "root=nowhere"], "set=set5: nowhere holds no folder of that name. Set root=DIR"),
        (["set=set55"], "set=set55: neither a folder nor an option of conf/data. Options: bsd100"),
        (["set=set5,set5", "root=sets"], "set: two sets are called set5"),
        (["set=set5", "root=sets", "sets={a: sets}"], "set and sets are both given"),
        (["set=set5", "root=sets", "systems=[tny]"], "unknown system 'tny'. Did you mean 'tiny'?"),
        (["set=set5", "root=sets", "files={tny: x}"], "files.tny: no system is called so. Known: bicubic, faces"),
        (["set=set5", "root=sets", "face_sets=[london]"], "face_sets: no set is called london; the sets are set5"),
        (["set=set5", "root=sets", "repeats=0"], "repeats=0: give an integer of at least 1"),
        (["train=missing", "train.minutes=0"], "train.minutes=0: give a positive number of minutes"),
        (["train=missing", "train.steps=0"], "train.steps=0: give a positive integer, or null"),
        (["train=missing", "train.steps=9", "train.minutes=1"], "train.minutes and train.steps are both given"),
        (["train=all"], "train=all: no such option"),
    ],
)
def test_user_errors_are_one_paragraph(sets, capsys, arguments, message):
    assert run_command(main, *CHEAP, *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.strip().splitlines()) == 1


def test_an_unknown_file_of_a_system(run, sets):
    with pytest.raises(FacehallError, match=r"files.tiny=nowhere.safetensors: no such file"):
        run("set=[set5]", f"root={sets}", "files={tiny: nowhere.safetensors}")
