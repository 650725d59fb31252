"""The evaluate command: its values follow the protocol, and its output files are readable."""

import csv
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from small import make_photographs, run_command, tiny_generator, write_weights

from facehall.errors import FacehallError
from facehall.evaluate import evaluate, main
from facehall.evaluation.evaluation import WIDTH, ComparedSystem, Evaluation
from facehall.evaluation.report import write_report
from facehall.evaluation.results import ImageResult, SetResult, worst
from facehall.imaging import read_rgb, to_tensor, to_uint8, upscale_bicubic, write_picture
from facehall.inference.backends.choice import BUILDERS
from facehall.metrics import Judge, Measure, Protocol, make_lr
from facehall.metrics.judges.signal import PSNR, SSIM, LumaPSNR, LumaSSIM
from facehall.models.weights import save_generator

CHEAP = ["metrics.lpips=none", "repeats=1"]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(compose_config, tmp_path):
    """Evaluate the tiny network and write to tmp_path/report."""
    weights = write_weights(tmp_path / "w.safetensors")

    def start(*overrides, given=weights):
        base = [f"weights={given}", f"output={tmp_path / 'report'}", *CHEAP]
        return evaluate(compose_config("evaluate", *base, *overrides))

    return start


def expected_measures(hr_array, grey=False, lr=None):
    """Return the measures computed directly with the protocol: (bicubic, model)."""
    hr = to_tensor(hr_array)[None]
    lr = make_lr(hr, 2) if lr is None else to_tensor(lr)[None]
    with torch.no_grad():
        images = upscale_bicubic(lr, 2), tiny_generator()(lr).clamp(0, 1)
    return [{key: float(value) for key, value in Protocol(2).measure(image, hr, grey).items()} for image in images]


def test_values_are_those_of_the_protocol(run, photographs):
    evaluation = run("data=images", f"data.root={photographs}")
    assert [image.name for image in evaluation.images] == [str(i) for i in range(6)]
    expected = [expected_measures(read_rgb(photographs / f"{i}.png")) for i in range(6)]
    for row, method in zip(evaluation.rows(), (0, 1), strict=True):
        for key in ("psnr", "ssim", "psnr_y", "ssim_y"):
            assert row[key] == pytest.approx(np.mean([image[method][key] for image in expected]), abs=1e-6)
    bicubic, model = evaluation.rows()
    assert (bicubic["parameters"], bicubic["gmacs"]) == (0, 0)
    assert model["parameters"] == sum(parameter.numel() for parameter in tiny_generator().parameters())
    assert model["gmacs"] > 0
    assert min(bicubic["ms_per_image"], model["ms_per_image"]) > 0


def test_report_as_text_csv_json_and_image(run, photographs, tmp_path, capsys):
    evaluation = run("data=images", f"data.root={photographs}", "sheet=2")
    report = tmp_path / "report"
    assert sorted(path.name for path in report.iterdir()) == [
        *("comparison.png", "images.csv", "table.csv", "table.json", "table.txt", "worst.png")
    ]
    with (report / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["method"] for row in table] == ["bicubic", "model"]
    document = json.loads((report / "table.json").read_text())
    for row, shown, stored in zip(evaluation.rows(), table, document["table"], strict=True):
        assert stored == row
        assert {key: float(value) for key, value in shown.items() if key != "method"} == {
            key: value for key, value in row.items() if key != "method"
        }
    assert document["images"] == 6
    assert "border 2 px" in document["protocol"]
    with (report / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["method"]) for row in rows[:3]] == [("0", "bicubic"), ("0", "model"), ("1", "bicubic")]
    assert float(rows[1]["psnr"]) == evaluation.images[0].measures["model"]["psnr"]
    two_rows = read_rgb(report / "comparison.png").shape
    assert 2 * 256 < two_rows[0] < 3 * 256
    assert two_rows[1] > 4 * 256
    text = (report / "table.txt").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert text in printed
    assert "comparison sheets are in report." in printed
    assert f"{evaluation.rows()[1]['psnr']:.2f}" in text


def test_pictures_are_kept_only_for_the_sheet(run, photographs, tmp_path):
    evaluation = run("data=images", f"data.root={photographs}", "sheet=2")
    assert [image.pictures is not None for image in evaluation.images] == [True, True, False, False, False, False]
    psnr = [image.measures["model"]["psnr"] for image in evaluation.images]
    assert [image.measures["model"]["psnr"] for image in evaluation.failures] == sorted(psnr)[:2]
    assert all(image.pictures is not None for image in evaluation.failures)
    assert not run("data=images", f"data.root={photographs}", "sheet=6").failures  # comparison.png shows them all
    assert not (tmp_path / "report" / "worst.png").exists()
    run("data=images", f"data.root={photographs}", "sheet=0")
    assert not (tmp_path / "report" / "comparison.png").exists()


def test_the_worst_images_have_the_highest_lpips():
    images = [ImageResult(name, {"model": {"psnr": 30.0, "lpips": value}}) for name, value in (("a", 0.1), ("b", 0.3))]
    assert worst(images, Protocol(4, [PSNR(), Distance()]), "model") == [1, 0]


class Distance(Judge):
    """Stands in for LPIPS, which would need its weights."""

    measure = Measure("lpips", "LPIPS", "lower", perceptual=True)


def test_single_channel_files_are_measured_as_such(run, tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    (tmp_path / "set").mkdir()
    Image.fromarray(levels).save(tmp_path / "set" / "a_grey.png")
    Image.fromarray(np.stack([levels] * 3, axis=2)).save(tmp_path / "set" / "b_colour.png")
    grey, colour = run("data=images", f"data.root={tmp_path / 'set'}").images
    rgb = np.stack([levels] * 3, axis=2)
    for image, is_grey in ((grey, True), (colour, False)):
        for method, expected in zip(("bicubic", "model"), expected_measures(rgb, is_grey), strict=True):
            assert image.measures[method] == pytest.approx(expected, abs=1e-6)
    assert grey.measures["model"]["psnr"] == grey.measures["model"]["psnr_y"]
    assert colour.measures["model"]["psnr"] != colour.measures["model"]["psnr_y"]
    assert np.ptp(grey.pictures[2].astype(int), axis=2).max() == 0
    assert np.ptp(colour.pictures[2].astype(int), axis=2).max() > 0


def test_the_scale_is_that_of_the_weights(run, tmp_path):
    """Official LR images of DIV2K are read at the network's scale."""
    rng = np.random.default_rng(0)
    for number in ("0801", "0802", "0803"):
        hr = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        write_picture(tmp_path / "DIV2K_valid_HR" / f"{number}.png", hr)
        write_picture(tmp_path / "DIV2K_valid_LR_bicubic" / "X2" / f"{number}x2.png", hr[1::2, 1::2])
    evaluation = run("data=div2k", f"data.root={tmp_path}", "data.lr=official")
    assert [image.name for image in evaluation.images] == ["0801", "0803"]
    hr = read_rgb(tmp_path / "DIV2K_valid_HR" / "0803.png")
    expected = expected_measures(hr, lr=np.ascontiguousarray(hr[1::2, 1::2]))
    assert evaluation.images[1].measures["model"] == pytest.approx(expected[1], abs=1e-6)
    assert evaluation.images[1].measures["bicubic"]["psnr"] != pytest.approx(expected_measures(hr)[0]["psnr"], abs=0.1)
    with pytest.raises(FacehallError, match=r"scale=4, but .* is a x2 network"):
        run("scale=4")
    x4 = write_weights(tmp_path / "x4.safetensors", scale=4)
    with pytest.raises(FacehallError, match=r"DIV2K_valid_LR_bicubic.X4 does not exist"):
        run("data=div2k", f"data.root={tmp_path}", "data.lr=official", given=x4)


def test_fidelity_mixes_both_weights(run, photographs, tmp_path):
    """Fidelity 0 and 1 give the measures of the two weights of a run."""
    with torch.no_grad():
        other = tiny_generator()
        for parameter in other.parameters():
            parameter.mul_(1.5)
    save_generator(tmp_path / "w_psnr.safetensors", other)
    data = ["data=images", f"data.root={photographs}"]
    vivid, faithful = run(*data), run(*data, given=tmp_path / "w_psnr.safetensors")
    psnr = {share: run(*data, f"fidelity={share}").means("model")["psnr"] for share in (0, 0.5, 1)}
    assert psnr[0] == vivid.means("model")["psnr"]
    assert psnr[1] == faithful.means("model")["psnr"]
    assert psnr[0.5] not in (psnr[0], psnr[1])
    assert "w.safetensors, fidelity 1" in (tmp_path / "report" / "table.txt").read_text()
    assert json.loads((tmp_path / "report" / "table.json").read_text())["fidelity"] == 1


def test_costs_use_an_image_of_bounded_size(run, photographs, monkeypatch):
    assert run("data=images", f"data.root={photographs}").costs["input"] == "32x32"
    whole = run("data=images", f"data.root={photographs}").rows()[1]["gmacs"]
    monkeypatch.setattr("facehall.evaluation.costs.LARGEST_TIMED", 16)
    tiled = run("data=images", f"data.root={photographs}")
    assert tiled.costs["input"] == "16x16"
    assert tiled.rows()[1]["gmacs"] == pytest.approx(whole / 4)


def test_lpips_is_in_the_table(run, pretrained):
    evaluation = run("data=sample", "metrics.lpips=alex")
    assert 0 < evaluation.rows()[0]["lpips"] < 1
    assert "LPIPS" in evaluation.text()
    assert "LPIPS v0.1 alex" in evaluation.text()


def big_evaluation(psnr=31.4159) -> Evaluation:
    measures = {"psnr": psnr, "ssim": 0.91234, "psnr_y": 32.1, "ssim_y": 0.9, "lpips": 0.1234}
    costs = {"parameters": 16_697_987, "gmacs": 1176.6123, "ms_per_image": 12345.678, "peak_mib": 12345.6}
    return Evaluation(
        [ComparedSystem("bicubic"), ComparedSystem("model", "runs/a/weights/generator_ema.safetensors")],
        Protocol(4, [PSNR(), SSIM(), LumaPSNR(), LumaSSIM(), Distance()]),
        [SetResult("a", [ImageResult("a", {"bicubic": measures, "model": measures})])],
        {"bicubic": costs, "model": costs, "input": "256x256", "device": "NVIDIA H100 80GB HBM3"},
    )


def test_the_text_fits_a_terminal_and_is_ascii():
    text = big_evaluation().text()
    assert max(len(line) for line in text.splitlines()) <= WIDTH + 10
    assert text.isascii()
    assert "16,697,987" in text
    assert "31.42" in text
    without_memory = big_evaluation()
    for method in ("bicubic", "model"):
        without_memory.costs[method] = {**without_memory.costs[method]}
        del without_memory.costs[method]["peak_mib"]
    assert max(len(line) for line in without_memory.text().splitlines()) <= WIDTH


def test_infinity_is_null_in_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    write_report(big_evaluation(float("inf")), tmp_path)
    document = json.loads((tmp_path / "table.json").read_text(), parse_constant=refuse)
    assert document["table"][0]["psnr"] is None
    assert document["table"][0]["psnr_y"] == 32.1
    assert "inf" in (tmp_path / "table.txt").read_text()
    assert "inf" in (tmp_path / "table.csv").read_text()
    assert not list(tmp_path.glob("*.part"))


def test_the_command_makes_a_folder_per_evaluation(photographs, tmp_path, capsys):
    weights = write_weights(tmp_path / "w.safetensors")
    given = [f"weights={weights}", "data=images", f"data.root={photographs}", *CHEAP]
    assert run_command(main, *given) == 0
    (folder,) = (tmp_path / "runs" / "evaluations").iterdir()
    assert (folder / "table.json").is_file()
    assert f"are in runs/evaluations/{folder.name}." in capsys.readouterr().out
    assert run_command(main, *given, "output=my report (1)") == 0
    assert (tmp_path / "my report (1)" / "table.txt").is_file()
    assert [path.name for path in (tmp_path / "runs" / "evaluations").iterdir()] == [folder.name]


def test_mismatched_pairs(photographs, tmp_path, capsys):
    weights = write_weights(tmp_path / "w.safetensors")
    photographs.rename(tmp_path / "HR")
    for path in sorted((tmp_path / "HR").iterdir()):
        write_picture(tmp_path / "LR" / path.name, to_uint8(make_lr(to_tensor(read_rgb(path)), 2)))
    arguments = [f"weights={weights}", "data=paired", "data.root=.", "data.test_fraction=0.9", *CHEAP]
    assert run_command(main, *arguments) == 0
    for path in (tmp_path / "LR").iterdir():
        write_picture(path, np.zeros((31, 32, 3), np.uint8))
    assert run_command(main, *arguments) == 2
    assert "has 32x31 pixels, but x2 of" in capsys.readouterr().err
    (tmp_path / "LR" / "3.png").unlink()
    assert run_command(main, *arguments) == 2
    assert "HR/3.png has no partner: LR/3.png is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=images"], "data.root has no value yet: give one on the command line, data.root=VALUE"),
        (["data=images", "data.root=nowhere"], "nowhere does not exist"),
        (["data=imges"], "data=imges: no such option. Did you mean 'images'?"),
        (["data=images", "data.root=photographs", "split=val"], "has no val images"),
        (["split=tset"], "split=tset: unknown split; expected train, val or test"),
        (["data=images", "data.root=photographs", "sheet=-1"], "sheet=-1: give an integer of at least 0"),
        (["repeats=0"], "repeats=0: give an integer of at least 1"),
        (["metrics.lpips=squeeze"], "metrics.lpips=squeeze: give alex, vgg, or none"),
        (["data=images", "data.root=broken"], "is not an image in a supported format"),
    ],
)
def test_user_errors_are_one_paragraph_and_leave_no_files(photographs, tmp_path, capsys, arguments, message):
    weights = write_weights(tmp_path / "w.safetensors")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    assert run_command(main, f"weights={weights}", "metrics.lpips=none", *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.name != "evaluations"]


# ---------------------------------------------------------------- several systems, several sets


def test_the_requested_backend_is_timed_and_named(run, photographs, tmp_path, monkeypatch):
    """Earlier versions reported eager's time for all backends."""

    def slow(generator, device):
        def compute(lr):
            time.sleep(0.2)
            return generator(lr)

        return compute

    monkeypatch.setitem(BUILDERS, "channels_last", slow)
    data = ["data=images", f"data.root={photographs}", "sheet=0"]
    run(*data)
    assert json.loads((tmp_path / "report" / "table.json").read_text())["backend"] == "eager"
    assert ", backend " not in (tmp_path / "report" / "table.txt").read_text()
    assert run(*data, "backend=channels_last").rows()[1]["ms_per_image"] >= 200
    assert json.loads((tmp_path / "report" / "table.json").read_text())["backend"] == "channels_last"
    assert "backend channels_last;" in " ".join((tmp_path / "report" / "table.txt").read_text().split())


@pytest.fixture
def two(tmp_path):
    """Two different weights files."""
    first = write_weights(tmp_path / "first.safetensors")
    other = tiny_generator()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.3)
    save_generator(tmp_path / "second.safetensors", other)
    return first, tmp_path / "second.safetensors"


def test_several_weights_in_one_table(run, photographs, two, tmp_path):
    data = ["data=images", f"data.root={photographs}", "sheet=2"]
    alone = [run(*data, given=path).rows() for path in two]
    assert run(*data, given=f"[{two[0]},{two[1]}]").names == ["bicubic", "first", "second"]
    rows = run(*data, given=f"'{two[0]},{two[1]}'").rows()
    assert [row["method"] for row in rows] == ["bicubic", "first", "second"]
    for row, expected in zip(rows, (alone[0][0], alone[0][1], alone[1][1]), strict=True):
        for key in ("psnr", "ssim", "psnr_y", "ssim_y", "parameters", "gmacs"):
            assert row[key] == expected[key]
    text = (tmp_path / "report" / "table.txt").read_text()
    assert text.startswith(f"first: {two[0]}\nsecond: {two[1]}\n")
    assert "all timed in turn" in " ".join(text.split())
    document = json.loads((tmp_path / "report" / "table.json").read_text())
    assert document["weights"] == [str(path) for path in two]
    assert [system["method"] for system in document["systems"]] == ["bicubic", "first", "second"]
    assert read_rgb(tmp_path / "report" / "comparison.png").shape[1] > 5 * 256
    with (tmp_path / "report" / "images.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)][:4] == ["bicubic", "first", "second", "bicubic"]


def test_several_weights_on_the_command_line(photographs, two, tmp_path, capsys):
    common = ["data=images", f"data.root={photographs}", "sheet=0", f"output={tmp_path / 'report'}", *CHEAP]
    for given in ("first.safetensors,second.safetensors", "[first.safetensors, second.safetensors]"):
        assert run_command(main, f"weights={given}", *common) == 0
        assert "\nsecond " in capsys.readouterr().out
    (tmp_path / "a,b.safetensors").write_bytes(two[0].read_bytes())
    assert run_command(main, "weights=a,b.safetensors", *common) == 0
    assert "\nmodel " in capsys.readouterr().out


def test_systems_by_label_and_explicit_bicubic(run, photographs, two):
    data = ["data=images", f"data.root={photographs}", "sheet=0"]
    listed = run(*data, f"systems=[{two[1]},bicubic]", given="null")
    assert listed.names == ["bicubic", "second"]
    labelled = run(*data, f"systems={{ours:{two[0]},theirs:{two[1]},floor:bicubic}}", given="null")
    assert labelled.names == ["floor", "ours", "theirs"]
    with pytest.raises(FacehallError, match="weights and systems are both given"):
        run(*data, "systems=[bicubic]")
    assert run(*data, "systems=[bicubic]", "scale=2", given="null").names == ["bicubic"]


def test_several_sets_and_their_mean(run, photographs, two, tmp_path):
    other = make_photographs(tmp_path / "other", 3, seed=1)
    alone = [run("data=images", f"data.root={root}", "sheet=1").rows() for root in (photographs, other)]
    evaluation = run(f"sets={{first:{photographs},second:{{root:{other},test_limit:null}}}}", "sheet=1")
    rows = evaluation.rows()
    assert [(row["set"], row["method"]) for row in rows] == [
        (name, method) for name in ("first", "second", "mean") for method in ("bicubic", "model")
    ]
    for measure in ("psnr", "ssim_y"):
        assert [row[measure] for row in rows[:4]] == [row[measure] for table in alone for row in table]
        assert rows[5][measure] == pytest.approx((rows[1][measure] + rows[3][measure]) / 2)
    report = tmp_path / "report"
    for name in ("first", "second"):
        assert (report / name / "comparison.png").is_file()
        assert (report / name / "worst.png").is_file()
    text = " ".join((report / "table.txt").read_text().split())
    assert "first: 6 images, second: 3 images; mean of the sets; PSNR/SSIM on" in text
    with (report / "images.csv").open() as file:
        assert [row["set"] for row in csv.DictReader(file)] == ["first"] * 12 + ["second"] * 6
    assert json.loads((report / "table.json").read_text())["sets"] == {"first": 6, "second": 3}


def test_a_set_uses_the_data_option_of_its_name_or_of_its_data_key(run, photographs):
    for sets in (f"set5:{{root:{photographs},count:6}}", f"mine:{{data:set5,root:{photographs},count:null}}"):
        assert len(run(f"sets={{{sets}}}", "sheet=0").images) == 6
    whole = ["+data@sets.mine=images", f"sets.mine.root={photographs}", "sheet=0"]
    assert len(run(*whole).images) == 6
    with pytest.raises(FacehallError, match=r"sets\.set5: data=set5 has no key 'size', only root, name"):
        run(f"sets={{set5:{{root:{photographs},size:9}}}}")
    with pytest.raises(FacehallError, match=r"sets\.mine\.data=set6: unknown option\. Options: bsd100"):
        run(f"sets={{mine:{{data:set6,root:{photographs}}}}}")
    with pytest.raises(FacehallError, match=r"sets\.set5\.root has no value yet"):
        run("sets={set5:{count:5}}")


def test_all_judges_and_a_users_own_are_in_table_and_csv(run, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr("facehall.config.build.ALLOWED_TARGETS", ("facehall.", f"{Sharpness.__module__}."))
    own = f"{{_target_:{Sharpness.__module__}.Sharpness,power:2}}"
    evaluation = run(
        *("data=images", f"data.root={photographs}", "sheet=1"),
        f"metrics.measures=[psnr,lr_consistency,color_drift,checkerboard,{own}]",
    )
    model = evaluation.rows()[1]
    assert list(model)[1:6] == ["psnr", "lr_consistency", "color_drift", "checkerboard", "sharpness"]
    assert model["sharpness"] == pytest.approx(np.mean([i.measures["model"]["sharpness"] for i in evaluation.images]))
    drifts = [image.measures["model"]["color_drift"] for image in evaluation.images]
    assert model["color_drift"] <= np.mean(drifts) + 1e-6
    text = (tmp_path / "report" / "table.txt").read_text()
    assert "LR diff" in text
    assert "Sharpness" in text
    with (tmp_path / "report" / "images.csv").open() as file:
        assert float(next(csv.DictReader(file))["sharpness"]) > 0


class Sharpness(Judge):
    """A measure of a user's own package."""

    measure = Measure("sharpness", "Sharpness", "higher", ".5f", needs=("sr",))

    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, sr):
        return sr.diff(dim=-1).abs().pow(self.power).mean((1, 2, 3))


class NME(Sharpness):
    """A measure that needs landmarks."""

    measure = Measure("nme", "NME", "lower", needs=("sr", "landmarks"))


def test_a_measure_with_missing_inputs_is_refused_before_evaluation(run, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr("facehall.config.build.ALLOWED_TARGETS", ("facehall.", f"{NME.__module__}."))
    own = f"{{_target_:{NME.__module__}.NME,power:1}}"
    with pytest.raises(FacehallError, match="nme needs 'landmarks'"):
        run("data=images", f"data.root={photographs}", f"metrics.measures=[psnr,{own}]")
    assert not (tmp_path / "report").exists()


def test_a_measure_used_as_a_loss_is_marked():
    systems = [ComparedSystem("bicubic"), ComparedSystem("model", "facehall-x4", trained_on=("lpips",))]
    text = replace(big_evaluation(), systems=systems).text()
    assert "0.1234*" in text
    assert text.count("*") == 2
    assert "* LPIPS: used as a training loss of that system, so not independent." in text
