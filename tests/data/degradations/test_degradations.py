"""Contract of all degradations: recipes, sizes, levels and names."""

import json
from functools import lru_cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from facehall.config.build import build, conf_dir
from facehall.data import (
    BicubicDegradation,
    GrainyDegradation,
    LowLightDegradation,
    MixedDegradation,
    PhotoDegradation,
    recipe_of,
)
from facehall.data.degradations.noise import Grain
from facehall.data.degradations.occluded import Occlude
from facehall.data.degradations.steps import Sizes
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic, quantize
from facehall.imaging.occlusion import OCCLUDED, occlusion

OPTIONS = sorted(path.stem for path in (conf_dir() / "degradation").glob("*.yaml"))
RANDOM = [option for option in OPTIONS if option != "bicubic"]


@lru_cache
def default(option):
    return degradation_of(option)


def degradation_of(option, **changes):
    node = OmegaConf.load(conf_dir() / "degradation" / f"{option}.yaml")
    return build(OmegaConf.merge(node, changes), "degradation")


def portrait(side=64):
    """Return a colour picture with smooth shading and hard edges."""
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    image = torch.stack((x, y, 1 - x * y)) * 0.8 + 0.1
    image[:, side // 3 : side // 2, side // 4 : side // 2] = torch.tensor([0.9, 0.2, 0.1])[:, None, None]
    return quantize(image)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_lr_has_the_expected_size_and_8_bit_levels(option, scale):
    degradation = default(option)
    hr = portrait(96)[:, :48]
    lr = degradation(hr, scale, recipe_of("a", 0, degradation, scale))
    assert lr.shape == (3, 48 // scale, 96 // scale)
    assert lr.dtype == torch.float32
    torch.testing.assert_close(lr * 255, (lr * 255).round())
    assert 0 <= lr.min() <= lr.max() <= 1


@pytest.mark.parametrize("option", OPTIONS)
def test_a_recipe_determines_the_output_even_after_json(option):
    degradation, hr = default(option), portrait()
    before = hr.clone()
    recipe = degradation.draw(np.random.default_rng(3), 4)
    again = json.loads(json.dumps(recipe))
    assert again == recipe
    assert torch.equal(degradation(hr, 4, recipe), degradation(hr, 4, again))
    assert torch.equal(hr, before)


@pytest.mark.parametrize("option", RANDOM)
def test_different_recipes_give_different_pictures(option):
    degradation, hr = default(option), portrait()
    pictures = [degradation(hr, 4, recipe_of(name, 0, degradation, 4)) for name in "ab"]
    assert degradation.random
    assert not torch.equal(*pictures)


def test_the_recipe_of_a_name_is_the_same_everywhere():
    """Regression value: fixed sets of earlier runs depend on it."""
    degradation = degradation_of("blind_face")
    recipe = recipe_of("0001", 7, degradation, 4)
    assert recipe == recipe_of("0001", 7, degradation, 4)
    assert recipe != recipe_of("0001", 8, degradation, 4)
    assert recipe != recipe_of("0002", 7, degradation, 4)
    assert recipe["steps"][0]["sigma"][0] == pytest.approx(3.7269003195869677, abs=1e-12)


def test_bicubic_is_the_protocols_and_deterministic():
    hr = portrait()
    degradation = BicubicDegradation()
    assert (degradation.name, degradation.random, degradation.draw(np.random.default_rng(), 4)) == (
        "bicubic",
        False,
        {},
    )
    assert torch.equal(degradation(hr, 4), quantize(downscale_bicubic(hr, 4)))
    with pytest.raises(ValueError, match="bicubic has no parameters, but the recipe has sigma"):
        degradation(hr, 4, {"sigma": 1})


@pytest.mark.parametrize("option", RANDOM)
def test_random_degradations_require_a_valid_recipe(option):
    degradation, hr = default(option), portrait()
    recipe = degradation.draw(np.random.default_rng(0), 4)
    with pytest.raises(ValueError, match=rf"{option} is random: it needs a recipe"):
        degradation(hr, 4)
    with pytest.raises(ValueError, match=r"the single key 'steps', not \['sigma', 'steps'\]"):
        degradation(hr, 4, {**recipe, "sigma": 1})
    with pytest.raises(ValueError, match="the unknown operation 'smear'; expected one of blur, darken"):
        degradation(hr, 4, {"steps": [{"op": "smear"}]})
    steps = [{**recipe["steps"][0], "strange": 1}, *recipe["steps"][1:]]
    with pytest.raises(ValueError, match=r"wrong parameters for \w+: .*strange"):
        degradation(hr, 4, {"steps": steps})
    with pytest.raises(ValueError, match=r"ends at \(64, 64\) pixels"):
        degradation(hr, 4, {"steps": []})
    with pytest.raises(ValueError, match="hr must be RGB"):
        degradation(hr[:, 1:], 4, recipe)


@pytest.mark.parametrize("option", RANDOM)
def test_names_distinguish_settings(option):
    key = {"low_light": "read_noise", "real": "second.noise", "mixed": "degradations.soft.noise"}.get(option, "noise")
    values = (f"{key}=[1,25]", f"{key}=[1.0,25.0]", f"{key}=[1,26]")  # the same, as floats; another
    if option == "occluded":
        values = ("rectangle=[1,1]", "rectangle=[1.0,1.0]", "rectangle=[0.5,1]")
    names = [degradation_of(option, **OmegaConf.from_dotlist([value])).name for value in values]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith(f"{option}-")


@pytest.mark.parametrize("option", [option for option in RANDOM if option != "mixed"])  # which has no defaults
def test_the_yaml_holds_the_defaults_of_the_class(option):
    degradation = default(option)
    assert type(degradation)() == degradation
    assert set(OmegaConf.load(conf_dir() / "degradation" / f"{option}.yaml")) - {"_target_"} == set(vars(degradation))


@pytest.mark.parametrize(
    ("option", "changes", "message"),
    [
        (
            "blind_face",
            "sigma=[10,0.1]",
            r"degradation: sigma must be a range \[a, b\] with 0\.01 <= a <= b <= 100, not",
        ),
        ("blind_face", "sigma=[0,1]", "sigma must be a range"),
        ("blind_face", "jpeg=[0,100]", "jpeg must be a range"),
        ("blind_face", "noise=3", "noise must be a range"),
        ("blind_face", "downsample=[1,a]", "downsample must be a range"),
        ("blind_face", "kernel_size=40", "kernel_size must be odd"),
        ("blind_face", "anisotropic=2", "anisotropic must be a probability"),
        ("grainy", "grain=[0,1]", "grain must be a range"),
        ("grainy", "grey=2", "grey must be a probability"),
        ("low_light", "gamma=[0.5,1]", "gamma must be a range"),
        ("low_light", "photons=[0,10]", "photons must be a range"),
        ("mixed", "chances.photo=0", "chances.photo must be a number above 0, not 0"),
        ("mixed", "chances.other=1", r"same names, not ruined, soft, photo, grainy, low_light and .*, other"),
        ("mixed", "degradations.soft.noise=3", "noise must be a range"),
        ("occluded", "stroke=[0,0.2]", "stroke must be a range"),
        ("occluded", "clear=-1", "clear must be a probability"),
        ("photo", "clean=2", "clean must be a probability"),
        ("photo", "jpeg=[0,50]", "jpeg must be a range"),
        ("real", "final_sinc=-1", "final_sinc must be a probability"),
        ("real", "first.resize=[1.1,1.5]", "resize must be a range around 1"),
        ("real", "first.up=0.9", r"up \(0\.9\) and down"),
        ("real", "first.kernel_size=[8,21]", "kernel_size must be a range of odd"),
        ("real", "first.kernels.square=1", "kernels must map gaussian_iso"),
    ],
)
def test_a_setting_out_of_range_is_named(option, changes, message):
    with pytest.raises(FacehallError, match=message):
        degradation_of(option, **OmegaConf.from_dotlist([changes]))


@pytest.mark.parametrize("option", RANDOM)
@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 5, 16]))
def test_any_draw_works_down_to_single_pixels(option, seed, side):
    degradation = default(option)
    recipe = degradation.draw(np.random.default_rng(seed), 2)
    hr = portrait(2 * side)
    lr = degradation(hr, 2, recipe)
    assert lr.isfinite().all()
    assert lr.shape == (3, side, side)


def test_a_mixture_draws_each_of_its_degradations_as_often_as_it_says():
    mixed = MixedDegradation({"dark": LowLightDegradation(), "jpeg": PhotoDegradation(clean=0)}, {"dark": 1, "jpeg": 3})
    recipes = [mixed.draw(np.random.default_rng(seed), 4) for seed in range(400)]
    dark = sum(any(step["op"] == "darken" for step in recipe["steps"]) for recipe in recipes)
    assert 70 < dark < 130
    assert sum(any(step["op"] == "jpeg" for step in recipe["steps"]) for recipe in recipes) == 400 - dark


def test_a_mixture_has_the_name_of_what_it_holds():
    soft, hard = PhotoDegradation(clean=0), PhotoDegradation(clean=1)
    names = [MixedDegradation({"a": each}, {"a": 1}).name for each in (soft, hard)]
    names += [MixedDegradation({"a": soft, "b": hard}, {"a": 1, "b": chance}).name for chance in (1, 2)]
    assert len(set(names)) == 4


def test_the_protocols_degradation_cannot_be_mixed():
    with pytest.raises(ValueError, match=r"degradations\.plain must be a random degradation.*not BicubicDegradation"):
        MixedDegradation({"plain": BicubicDegradation()}, {"plain": 1})


@pytest.mark.parametrize("option", ["blind_face", "real"])
def test_borders_have_no_dark_rim(option):
    """A white picture stays white without noise, even where kernels extend past the border."""
    quiet = {"blind_face": ["noise=[0,0]"], "real": []}[option]
    for stage in ("first", "second") if option == "real" else ():
        quiet += [f"{stage}.noise=[0,0]", f"{stage}.gaussian=1"]
    degradation = degradation_of(option, **OmegaConf.from_dotlist(quiet))
    for i in range(10):
        lr = degradation(torch.ones(3, 48, 48), 4, recipe_of(str(i), 0, degradation, 4))
        assert lr.min() > 0.98


def test_low_light_darkens():
    degradation, hr = degradation_of("low_light"), portrait()
    means = [degradation(hr, 4, recipe_of(str(i), 0, degradation, 4)).mean() for i in range(20)]
    assert max(means) < hr.mean()
    assert np.mean(means) < 0.6 * hr.mean()


@pytest.mark.parametrize("size", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("grey", [False, True])
def test_grain_has_its_standard_deviation_and_its_size(size, grey):
    image = np.full((256, 256, 3), 0.5, np.float32)
    noise = Grain(0.04, size, grey, 1).apply(image, Sizes((256, 256), (256, 256))) - 0.5
    assert noise.std() == pytest.approx(0.04, rel=0.05)
    assert (np.ptp(noise, axis=2).max() == 0) == grey
    neighbours = float((noise[:, 1:] * noise[:, :-1]).mean() / noise.var())
    taps = np.exp(-np.square(np.arange(-16, 17)) / (2 * size**2))  # their autocorrelation at a distance of a pixel
    assert neighbours == pytest.approx(float((taps[1:] * taps[:-1]).sum() / np.square(taps).sum()), abs=0.03)


def test_grainy_pictures_keep_their_noise_after_jpeg():
    hr = torch.full((3, 256, 256), 0.5)
    quiet, loud = (GrainyDegradation(noise=(n, n), grain=(1, 1), jpeg=(90, 90)) for n in (0, 8))
    assert quiet(hr, 4, recipe_of("a", 0, quiet, 4)).std() == 0
    assert 255 * loud(hr, 4, recipe_of("a", 0, loud, 4)).std() == pytest.approx(8, rel=0.25)


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_blind_face_draws_within_its_ranges(seed):
    blur, shrink, noise, jpeg, last = default("blind_face").draw(np.random.default_rng(seed), 4)["steps"]
    assert all(0.1 <= sigma <= 10 for sigma in blur["sigma"])
    assert 0.8 <= 1 / shrink["factor"] <= 8
    assert 0 <= noise["sigma"] <= 20 / 255
    assert 60 <= jpeg["quality"] <= 100
    assert all(0 <= pixels < 16 for pixels in jpeg["corner"])
    assert (last["factor"], last["of"]) == (1, "lr")


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_photo_draws_within_its_ranges_or_is_plain_bicubic(seed):
    drawn = default("photo").draw(np.random.default_rng(seed), 4)["steps"]
    steps = {step["op"]: step for step in drawn}
    assert steps["resize"]["mode"] == "matlab"
    if "jpeg" in steps:
        assert 40 <= steps["jpeg"]["quality"] <= 98
        assert 0 <= steps["gaussian_noise"]["sigma"] <= 6 / 255
    else:
        assert list(steps) == ["resize"]
    if "blur" in steps:
        assert 0.5 <= steps["blur"]["sigma"][0] <= 3
        assert steps["blur"]["size"] >= 6 * steps["blur"]["sigma"][0]  # three on either side


def test_photo_follows_its_probabilities():
    drawn = [[step["op"] for step in recipe_of(str(i), 0, default("photo"), 4)["steps"]] for i in range(400)]
    assert 70 <= sum(ops == ["resize"] for ops in drawn) <= 130  # a quarter of 400, within 3.5 standard deviations
    assert 110 <= sum("blur" in ops for ops in drawn) <= 190  # half of the others
    clean = degradation_of("photo", clean=1)
    hr = portrait()
    assert torch.equal(clean(hr, 4, recipe_of("a", 0, clean, 4)), BicubicDegradation()(hr, 4))


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_real_draws_within_its_ranges_and_ends_as_published(seed):
    steps = default("real").draw(np.random.default_rng(seed), 4)["steps"]
    for step in steps:
        if step["op"] in ("blur", "sinc"):
            assert step["size"] in range(7, 22, 2)
        if step["op"] == "jpeg":
            assert 30 <= step["quality"] <= 95
        if step["op"] == "resize":
            assert 0.15 <= step["factor"] <= 1.5
    ops = [step["op"] for step in steps]
    assert ops.count("jpeg") == 2
    assert ops.count("resize") == 3
    assert ops[-2:] in (["sinc", "jpeg"], ["resize", "jpeg"], ["resize", "sinc"], ["jpeg", "resize"])


def test_occluded_pixels_are_magenta_and_the_others_bicubic():
    """Over many draws: about the configured share of clear pictures, three shapes, no total occlusion."""
    degradation, hr = default("occluded"), portrait(128)
    plain = BicubicDegradation()(hr, 8)
    shares, kinds = [], set()
    for seed in range(200):
        recipe = degradation.draw(np.random.default_rng(seed), 8)
        lr = degradation(hr, 8, recipe)
        hidden = occlusion(lr)[0] == 1
        assert torch.equal(lr[:, ~hidden], plain[:, ~hidden])
        shares.append(hidden.float().mean().item())
        kinds |= {(len(step["points"]) == 6, step["width"] > 0) for step in recipe["steps"][1:]}
    covered = [share for share in shares if share]
    assert 0.15 < 1 - len(covered) / 200 < 0.35
    assert max(covered) < 0.6
    assert len(kinds) >= 3


def test_occlusions_match_hand_computed_pixels():
    square = Occlude([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    line = Occlude([[0.0, 0.5], [1.0, 0.5]], width=0.25)
    sizes = Sizes((8, 8), (8, 8))
    black = np.zeros((8, 8, 3), np.float32)
    hidden = square.apply(black, sizes)[..., 0]
    assert hidden[2:6, 2:6].all()
    assert hidden.sum() <= 36  # OpenCV also paints pixels that the border touches
    assert square.apply(black, sizes)[3, 3].tolist() == list(OCCLUDED)
    hidden = line.apply(black, sizes)[..., 0]
    assert hidden[3:5].all()
    assert not hidden[:2].any()
    assert not hidden[6:].any()
