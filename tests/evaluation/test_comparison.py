"""Comparisons as data: rows, published figures, the rule for undertrained networks, and the files."""

import csv
import json

import numpy as np
import pytest

from facehall.evaluation.comparison import Comparison, published_text
from facehall.evaluation.comparison_report import comparison_text, write_comparison
from facehall.evaluation.crops import busiest_crop, crops_sheet
from facehall.evaluation.evaluation import ComparedSystem, Evaluation
from facehall.evaluation.results import ImageResult, SetResult
from facehall.imaging import read_rgb
from facehall.inference.availability import Available, Missing
from facehall.metrics import Judge, Measure, Protocol
from facehall.metrics.judges.signal import PSNR, LumaPSNR
from facehall.systems import PublishedFigure, System


class Distance(Judge):
    measure = Measure("lpips", "LPIPS", "lower", perceptual=True)


def picture(seed, side=64):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def image(name, values, pictures=False):
    measures = {system: {"psnr": y - 2, "psnr_y": y, "lpips": y / 100} for system, y in values.items()}
    shown = [picture(0, 16), *(picture(seed) for seed in range(len(values))), picture(9)] if pictures else None
    return ImageResult(name, measures, shown)


SYSTEMS = {
    "bicubic": System("bicubic", kind="interpolation"),
    "net": System("a network", published=(PublishedFigure("Set5", 4, "y", 31.5, 0.88),), trained_on=("lpips",)),
    "gan": System("a GAN", published=(PublishedFigure("Set5", 4, "y", 29.4, 0.84),)),
    "face": System("for faces", faces_only=True),
}
AVAILABLE = {
    "bicubic": Available("bicubic", "bicubic", "none"),
    "net": Available("net", "runs/zoo/net_x4/weights/generator_ema.safetensors", "trained", 12.5, 900),
    "gan": Available("gan", "gan.safetensors", "trained"),
    "face": Available("face", "face.safetensors", "trained"),
}


def comparison(net=29.0, gan=29.0, scale=4, **changes):
    general = {"bicubic": 28.0, "net": net, "gan": gan}
    costs = {name: {"parameters": 10_000, "gmacs": 1.5, "ms_per_image": 3.25} for name in SYSTEMS}
    evaluation = Evaluation(
        systems=[
            ComparedSystem("bicubic"),
            *(
                ComparedSystem(name, AVAILABLE[name].weights, trained_on=SYSTEMS[name].trained_on)
                for name in ("net", "gan", "face")
            ),
        ],
        protocol=Protocol(scale, [PSNR(), LumaPSNR(), Distance()]),
        sets=[
            SetResult("five", [image("baby", general, pictures=True)]),
            SetResult("london", [image("a", {**general, "face": 33.0})]),
        ],
        costs={**costs, "input": "64x64", "device": "the CPU", "timed_once": ["net"]},
    )
    given = {
        "systems": SYSTEMS,
        "available": AVAILABLE,
        "missing": [Missing("secret", "write to its authors")],
        "benchmarks": {"five": "Set5"},
        **changes,
    }
    return Comparison(evaluation, scale, **given)


def test_rows_hold_measures_costs_published_figures_and_times():
    rows = comparison().rows()
    assert [(row["set"], row["method"]) for row in rows] == [
        *(("five", name) for name in ("bicubic", "net", "gan")),
        *(("london", name) for name in ("bicubic", "net", "gan", "face")),
        *(("mean", name) for name in ("bicubic", "net", "gan")),  # those measured on both sets
    ]
    net = rows[1]
    assert (net["psnr_y"], net["parameters"]) == (29.0, 10_000)
    assert (net["training_minutes"], net["training_steps"]) == (12.5, 900)
    assert (net["weights"], net["published"]) == ("trained here", "31.50 / .8800 (Y, border 4)")
    assert [row["published"] for row in rows if row["set"] != "five"] == [None] * 7  # no complete benchmark
    assert comparison(benchmarks={}).rows()[1]["published"] is None
    assert comparison(scale=2).rows()[1]["published"] is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["net"]),  # the GAN's own published figure lies below 30.3
        ({"net": 30.3}, []),
        ({"benchmarks": {}}, []),  # not Set5
        ({"scale": 2}, []),
        ({"available": {**AVAILABLE, "net": Available("net", "a.mat", "authors")}}, []),
    ],
)
def test_networks_trained_here_below_the_threshold_are_undertrained(changes, expected):
    found = comparison(**changes)
    assert found.undertrained() == expected
    assert {row["method"] for row in found.rows() if row["note"]} == set(expected)
    assert any(note.startswith("undertrained: ") for note in found.notes()) == bool(expected)


def test_the_files(tmp_path):
    compared = comparison(failures={"deep": "out of memory"})
    compared.evaluation.protocol.missing = {"DISTS": "its weights are not on this machine."}
    write_comparison(compared, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("crops_five.png", "images.csv", "lpips_over_psnr.png", "psnr_over_ms.png"),
        *("table.csv", "table.json", "table.md", "table.txt"),
    ]
    document = json.loads((tmp_path / "table.json").read_text())
    assert document["table"] == compared.rows()
    assert document["missing"] == {"secret": "write to its authors"}
    assert document["missing_measures"] == {"DISTS": "its weights are not on this machine."}
    assert document["failed_trainings"] == {"deep": "out of memory"}
    with (tmp_path / "table.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == [row["method"] for row in compared.rows()]
    with (tmp_path / "images.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3 + 4
    for text in ((tmp_path / "table.txt").read_text(), (tmp_path / "table.md").read_text()):
        for part in (
            "undertrained",
            "29.00",
            "write to its authors",
            "out of memory",
            "DISTS is missing",
            "31.50 / .88",
        ):
            assert part in text
    markdown = (tmp_path / "table.md").read_text().splitlines()
    table = [line for line in markdown if line.startswith("|")]
    assert len(table) == 2 + 10
    assert len({line.count("|") for line in table}) == 1
    assert "![crops five](crops_five.png)" in markdown
    assert "(net: a single pass)" in comparison_text(compared)
    assert "0.2900*" in comparison_text(compared)  # LPIPS was a training loss of net
    height, width = read_rgb(tmp_path / "crops_five.png").shape[:2]
    assert 256 < height < 2 * 256
    assert 6 * 256 < width < 8 * 256


def test_crops_show_the_same_detail_of_every_picture():
    hr = np.zeros((128, 128, 3), np.uint8)
    hr[64:, 32:] = picture(1, 96)[:64]
    assert busiest_crop(hr, 64)[0] == 64
    assert busiest_crop(hr, 64)[1] >= 32
    assert busiest_crop(hr, 500) == (0, 0, 128)
    assert crops_sheet([image("a", {"net": 30.0})], ["LR", "net", "HR"], str) is None


def test_published_figures_as_text():
    assert published_text(PublishedFigure("Set5", 4, "rgb", 26.65, lpips=0.06)) == "26.65, LPIPS 0.06 (RGB, border 4)"
    assert (
        published_text(PublishedFigure("a", 2, "y", 30, 0.5, border=8, source="x")) == "30.00 / .5000 (Y, border 8; x)"
    )
