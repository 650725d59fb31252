"""Measures: declarations, checks of required inputs, and a user's own measure."""

import json

import pytest
import torch

from facehall.assets import WeightsNotFoundError
from facehall.errors import FacehallError
from facehall.imaging import quantize
from facehall.metrics import Judge, Measure, Protocol, bicubic_sr, make_lr, register
from facehall.metrics.build import MEASURES, build_protocol
from facehall.metrics.judges import JUDGES
from facehall.metrics.judges.artefacts import Checkerboard, ColourDrift
from facehall.metrics.judges.consistency import LRConsistency
from facehall.metrics.judges.signal import PSNR
from facehall.metrics.measures import from_json, headlines, ranking, to_json


class EyeDistance(Judge):
    """A judge of a user's package that needs landmarks."""

    measure = Measure("eyes", "Eyes", "lower", ".3f", needs=("sr_whole", "landmarks"), description="a stand-in")

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, sr, landmarks):
        return self.factor * landmarks.flatten(1).mean(1) + 0 * sr.mean((1, 2, 3))


def pair(side=32, count=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, side, side, generator=random) for _ in range(2))


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
def test_every_declaration_is_complete_and_survives_json(judge):
    measure = judge.measure
    assert measure.text(0.12345)
    assert f"{measure.better} is better" in measure.title
    assert from_json(json.loads(json.dumps(to_json([measure])))) == [measure]


def test_the_default_measures_are_those_of_the_tables():
    declared = [JUDGES[name].measure for name in MEASURES]
    assert [measure.label for measure in declared] == ["PSNR", "SSIM", "PSNR Y", "SSIM Y", "LPIPS"]
    assert [measure.name for measure in headlines(declared)] == ["psnr", "ssim", "lpips"]
    assert ranking(declared).name == "lpips"
    assert ranking(declared[:4]).name == "psnr"


def test_direction_of_measures():
    psnr, lpips = JUDGES["psnr"].measure, JUDGES["lpips"].measure
    assert psnr.cost(30) < psnr.cost(20)
    assert lpips.cost(0.1) < lpips.cost(0.2)
    with pytest.raises(ValueError, match="'bigger'"):
        Measure("x", "X", "bigger")


def test_a_judge_gets_what_it_needs_by_name():
    sr, hr = pair()
    landmarks = torch.arange(8.0).view(2, 2, 2)
    protocol = build_protocol(4, ["psnr", EyeDistance(2.0)])
    values = protocol.measure(sr, hr, landmarks=landmarks)
    assert values["eyes"].tolist() == [3.0, 11.0]
    assert "Eyes: a stand-in" in protocol.description


def test_a_missing_input_is_named_before_and_during_measurement():
    protocol = build_protocol(4, ["psnr", EyeDistance()])
    protocol.require({"lr", "hr", "name", "landmarks"})
    with pytest.raises(FacehallError, match=r"metrics\.measures: eyes needs 'landmarks'.*remove eyes"):
        protocol.require({"lr", "hr", "name"})
    with pytest.raises(FacehallError, match="eyes needs 'landmarks'"):
        protocol.measure(*pair())


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (["psnr", "lpisp"], r"unknown measure 'lpisp'\. Did you mean 'lpips'\?"),
        (["psnr", "psnr"], "psnr is given twice"),
        ([], "metrics.measures is empty"),
        ([{"psnr": {"border": 3}}], "psnr does not accept these settings"),
        ([3], "3 is neither the name of a measure"),
        ([{"psnr": None, "ssim": None}], "is neither the name"),
    ],
)
def test_user_errors_are_one_paragraph(measures, message):
    with pytest.raises(FacehallError, match=message):
        build_protocol(4, measures)


def test_settings_of_a_measure_and_a_single_name():
    assert build_protocol(4, "psnr").names == ("psnr",)
    assert build_protocol(4, [{"ssim": None}, "psnr"]).names == ("ssim", "psnr")
    with pytest.raises(FacehallError, match=r"nowhere\.safetensors does not exist"):
        build_protocol(4, [{"lpips_vgg": {"weights": "nowhere.safetensors"}}])


def test_measures_that_are_all_missing_say_why(monkeypatch):
    def unavailable(self):
        raise WeightsNotFoundError("The DISTS weights are not on this machine.")

    monkeypatch.setattr(JUDGES["dists"], "__init__", unavailable)
    found = build_protocol(4, ["psnr", "dists"], skip_missing=True)
    assert found.names == ("psnr",)
    assert found.missing == {"DISTS": "The DISTS weights are not on this machine."}
    with pytest.raises(FacehallError, match="The DISTS weights are not on this machine"):
        build_protocol(4, "dists", skip_missing=True)


def test_two_judges_of_one_name_are_refused():
    class Other(Judge):
        measure = Measure("psnr", "PSNR", "higher")

    with pytest.raises(ValueError, match="two measures are called 'psnr'"):
        register(Other)
    assert JUDGES["psnr"] is PSNR


def test_only_requested_measures_are_computed():
    class Expensive(Judge):
        measure = Measure("expensive", "Expensive", "lower")

        def forward(self, sr, hr):
            raise AssertionError("computed")

    assert [*build_protocol(4, ["psnr", Expensive()]).measure(*pair(), only=("psnr",))] == ["psnr"]


# ---------------------------------------------------------------- the single measures


def test_lr_consistency_by_hand():
    _, hr = pair(64)
    lr = make_lr(hr, 4)
    protocol = Protocol(4, [LRConsistency()])
    assert protocol.measure(bicubic_sr(lr, 4), hr, lr=lr)["lr_consistency"].max() < 12
    flat = torch.full((1, 3, 32, 32), 128 / 255)
    moved = torch.full((1, 3, 8, 8), 125 / 255)
    assert protocol.measure(flat, flat, lr=moved)["lr_consistency"].item() == pytest.approx(3, abs=1e-4)
    border = flat.clone()
    border[..., :4, :] = 0  # included
    assert protocol.measure(border, flat, lr=flat[..., ::4, ::4])["lr_consistency"].item() > 10


def test_colour_drift_of_a_set_is_not_the_mean_over_images():
    hr = torch.full((2, 3, 16, 16), 0.5)
    sr = hr.clone()
    sr[0, 0] += 10 / 255
    sr[1, 0] -= 6 / 255
    protocol = Protocol(2, [ColourDrift()])
    assert protocol.measure(sr, hr)["color_drift"].tolist() == pytest.approx([10, 6], abs=1e-3)
    mean = {name: value.mean(0) for name, value in protocol.statistics(sr, hr).items()}
    assert protocol.figures(mean)["color_drift"].item() == pytest.approx(2, abs=1e-3)


def test_the_checkerboard_of_a_set_ignores_images_that_are_too_small():
    torch.manual_seed(0)
    hr = torch.full((1, 3, 64, 64), 0.5)
    dots = hr.clone()
    dots[..., ::2, ::2] += 4 / 255
    protocol = Protocol(2, [Checkerboard()])
    large = protocol.statistics(dots, hr)["checkerboard"]
    small = protocol.statistics(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12))["checkerboard"]
    alone = protocol.figures({"checkerboard": large[0]})["checkerboard"].item()
    both = protocol.figures({"checkerboard": torch.cat((large, small)).mean(0)})["checkerboard"].item()
    assert both == pytest.approx(alone, rel=1e-5)
    assert alone == pytest.approx(4 * 3**0.5 / 4, abs=0.3)
    assert protocol.figures({"checkerboard": small[0]})["checkerboard"].isnan()


def test_whole_images_are_rounded_and_uncropped_and_exact_ones_are_neither():
    seen = {}

    class Look(Judge):
        measure = Measure("look", "Look", "lower", needs=("sr", "sr_whole", "sr_exact", "hr_y", "scale"))

        def forward(self, *views):
            seen.update(zip(self.measure.needs, views, strict=True))
            return torch.zeros(2)

    sr, hr = pair()
    Protocol(4, [Look()]).measure(sr * 1.2, hr)
    assert torch.equal(seen["sr_exact"], (sr * 1.2).clamp(0, 1))
    assert torch.equal(seen["sr_whole"], quantize(sr * 1.2))
    assert torch.equal(seen["sr"], seen["sr_whole"][..., 4:-4, 4:-4])
    assert seen["hr_y"].shape == (2, 1, 24, 24)
    assert seen["scale"] == 4
