"""PhotoRestorer: what is pasted, what stays as it is, guards, and how faces are written and read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import write_weights
from squares import find_squares, with_squares

from facehall.errors import FacehallError
from facehall.faces.detection import detect
from facehall.imaging import Picture, downscale_bicubic, to_levels, to_tensor, upscale_bicubic
from facehall.inference import Predictor
from facehall.inference.photographs import PhotoRestorer
from facehall.inference.restoration import backgrounds
from facehall.inference.restoration.masks import oval_mask
from facehall.inference.streaming import assemble
from facehall.models.generators import MultiScaleResNet
from facehall.models.weights import save_generator

SQUARES = ((40, 30, 24), (110, 60, 40))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture
def build(weights):
    """Build a restorer whose detector finds white squares; `change` stands in for the network."""

    def make(change=None, **settings):
        defaults = {"scale": 2, "device": "cpu", "backend": "eager", "network": find_squares, "masker": oval_mask}
        settings = {**defaults, **settings}
        restorer = PhotoRestorer(weights, **settings)
        if change is not None:
            restorer.predictor.super_resolve_batch = change
        return restorer

    return make


def bicubic(lr):
    return upscale_bicubic(lr, 2).clamp(0, 1)


def brighter(lr):
    """Restore with new detail: a chequerboard, which has no low frequencies."""
    sr = bicubic(lr)
    board = (torch.arange(sr.shape[-1])[:, None] + torch.arange(sr.shape[-1])) % 4 < 2
    return (sr + torch.where(board, 0.1, -0.1)).clamp(0, 1)


def photograph(dtype=np.uint8, colour=True, seed=0):
    """Smooth random colours around two faces; (150, 190, 3)."""
    small = torch.rand(3 if colour else 1, 15, 19, generator=torch.Generator().manual_seed(seed))
    rgb = to_levels(0.6 * upscale_bicubic(small, 10).clamp(0, 1).expand(3, -1, -1), dtype)
    for left, top, side in SQUARES:
        rgb[top : top + side, left : left + side] = np.iinfo(dtype).max
    return rgb


def enlarged(rgb, scale=2):
    return to_levels(upscale_bicubic(to_tensor(rgb), scale), rgb.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_restorer_that_changes_nothing_gives_bicubic(build, dtype):
    rgb = photograph(dtype)
    picture, report = build(bicubic).restore(rgb)
    assert [face.action for face in report.faces] == ["restored", "restored"]
    difference = np.abs(picture.rgb.astype(int) - enlarged(rgb).astype(int)).max()
    assert difference <= np.iinfo(dtype).max / 255


def test_detail_appears_in_the_faces_only(build):
    rgb = photograph()
    picture, _ = build(brighter).restore(rgb)
    changed = np.abs(picture.rgb.astype(int) - enlarged(rgb).astype(int)).max(axis=2)
    inside = np.zeros(changed.shape, bool)
    for left, top, side in SQUARES:
        crop = slice(2 * (top - side // 2) - 1, 2 * (top + side + side // 2) + 1)
        inside[crop, 2 * (left - side // 2) - 1 : 2 * (left + side + side // 2) + 1] = True
    assert changed[~inside].max() == 0
    for left, top, side in SQUARES:
        assert changed[2 * top : 2 * (top + side), 2 * left : 2 * (left + side)].mean() > 3


def test_a_network_that_must_see_a_whole_face_restores_it(tmp_path):
    network = MultiScaleResNet(2, blocks=1, features=4, stage_features=4, position=8)
    save_generator(tmp_path / "w.safetensors", network)
    settings = {"scale": 2, "device": "cpu", "backend": "eager", "network": find_squares, "masker": oval_mask}
    _, report = PhotoRestorer(tmp_path / "w.safetensors", **settings).restore(photograph())
    assert [face.action for face in report.faces] == ["restored", "restored"]


def test_light_and_colour_are_those_of_the_photograph(build):
    rgb = photograph()
    shifted = build(lambda lr: bicubic(lr) * torch.tensor([0.8, 0.9, 0.7]).view(3, 1, 1) + 0.05)
    picture, _ = shifted.restore(rgb)
    left, top, side = SQUARES[1]
    around = np.s_[2 * (top - 15) : 2 * (top + side + 15), 2 * (left - 15) : 2 * (left + side + 15)]
    before, after = (image[around].mean(axis=(0, 1)) for image in (enlarged(rgb), picture.rgb))
    assert np.abs(after - before).max() < 6  # the network's own shift is 20 to 60 levels


def test_grey_stays_grey_and_metadata_stay(build):
    levels = photograph(colour=False)
    restorer = build()  # the tiny network tints grey
    coloured = Picture(levels, dpi=(300.0, 300.0), exif=None)
    picture, _ = restorer.restore(coloured)
    assert not picture.grey
    assert np.ptp(picture.rgb, axis=2).max() == 0
    assert picture.dpi == (300.0, 300.0)
    grey, _ = restorer.restore(replace(coloured, grey=True))
    assert grey.grey
    assert np.array_equal(grey.rgb, picture.rgb)


def test_alpha_is_enlarged_on_its_own(build):
    rgb = photograph()
    alpha = np.random.default_rng(0).integers(0, 256, rgb.shape[:2], dtype=np.uint8)
    picture, _ = build(bicubic).restore(Picture(rgb, alpha))
    assert np.array_equal(picture.alpha, enlarged(alpha[..., None])[..., 0])


def test_strips_do_not_matter(build, monkeypatch):
    rgb = photograph()
    restorer = build(brighter)
    whole = restorer.restore(rgb)[0].rgb
    monkeypatch.setattr(backgrounds, "STRIP_PIXELS", 190 * 4 * 7)
    assert np.abs(restorer.restore(rgb)[0].rgb.astype(int) - whole).max() <= 1


def test_at_scale_1_soft_faces_change_and_everything_else_stays(build):
    rgb = enlarged(photograph(), 4)  # soft: four times as large
    restorer = build(scale=1)
    picture, report = restorer.restore(rgb)
    largest = report.faces[0]
    assert largest.action == "restored"
    assert largest.plan.reduction > 1
    changed = (picture.rgb != rgb).any(axis=2)
    assert changed.any()
    assert not changed[:20].any()
    sharp = with_squares(200, 200, (60, 60, 80))
    picture, report = restorer.restore(sharp)
    assert [face.reason for face in report.faces] == ["sharp already, for its size"]
    assert np.array_equal(picture.rgb, sharp)


def test_the_background_of_the_weights_is_the_predictors(build):
    rgb = photograph()
    restorer = build(background="weights", faces="none")
    picture, report = restorer.restore(rgb)
    assert report.faces == []
    assert np.array_equal(picture.rgb, restorer.predictor.upscale(rgb).rgb)
    same_size = build(background="weights", faces="none", scale=1).restore(rgb)[0].rgb
    means = restorer.predictor.upscale(rgb).rgb.reshape(150, 2, 190, 2, 3).mean(axis=(1, 3))
    assert np.abs(same_size - means).max() <= 0.51


@pytest.mark.parametrize("scale", [1, 2])
def test_the_background_of_the_fast_weights(build, scale):
    rgb = photograph()
    picture, report = build(background="fast", faces="none", scale=scale).restore(rgb)
    assert report.background == "fast"
    large = Predictor("facehall-x4_fast", "cpu", "eager").upscale(rgb).rgb
    factor = 4 // scale
    means = large.reshape(150 * scale, factor, 190 * scale, factor, 3).mean(axis=(1, 3))
    assert np.abs(picture.rgb - means).max() <= 0.51


def test_no_fast_background_at_x8():
    with pytest.raises(FacehallError, match="background=fast enlarges by 4 at most, not by 8"):
        PhotoRestorer(scale=8, background="fast", device="cpu")


def test_consistency_keeps_the_input(build):
    def wavy(lr):
        sr = bicubic(lr)
        waves = torch.sin(torch.arange(sr.shape[-1]) * (2 * torch.pi / 12))
        return (sr + 0.1 * waves).clamp(0, 1)

    rgb = photograph()
    left, top, side = SQUARES[1]
    around = np.s_[:, top - 10 : top + side + 10, left - 10 : left + side + 10]
    errors, found = {}, {}
    for consistency in (False, True):
        picture, report = build(wavy, consistency=consistency).restore(rgb)
        reduced = downscale_bicubic(to_tensor(picture.rgb), 2)
        errors[consistency] = 255 * float((reduced - to_tensor(rgb))[around].abs().mean())
        found[consistency] = max(face.inconsistency for face in report.faces)
    assert found[False] > 5 > 1 > found[True]
    assert errors[True] < 1.5
    assert errors[True] < errors[False] / 2


def test_a_face_that_drifts_gets_the_faithful_weights(build):
    """Identities are means: the sharp network shifts them, the faithful one does not."""

    def identity(a, b):
        return 1 - round(float((a.mean() - b.mean()).abs()), 2)

    def shifted(lr):
        return (bicubic(lr) + 0.3).clamp(0, 1)

    restorer = build(shifted, identity=identity)
    restorer.__dict__["faithful"] = build(bicubic).predictor
    picture, report = restorer.restore(photograph())
    assert {face.action for face in report.faces} == {"faithful"}
    assert "below the required" in report.faces[0].reason
    assert report.faces[0].as_json()["identity"]["restored"] < 0.9
    assert np.abs(picture.rgb.astype(int) - enlarged(photograph()).astype(int)).max() <= 1
    restorer.__dict__["faithful"] = build(shifted).predictor
    report = restorer.restore(photograph())[1]
    assert {face.action for face in report.faces} == {"left"}
    assert "with the faithful weights" in report.faces[0].reason
    restorer.__dict__["faithful"] = None
    assert "has no faithful weights" in restorer.restore(photograph())[1].faces[0].reason


def test_a_face_that_drifts_is_first_tried_a_quarter_of_the_way_to_the_faithful_result(build):
    """The sharp network darkens by 0.1, the faithful one brightens by 0.3: the mixture does neither."""

    def identity(a, b):
        return 1 - round(float((a.mean() - b.mean()).abs()), 2)

    restorer = build(lambda lr: bicubic(lr) - 0.1, identity=identity)
    restorer.__dict__["faithful"] = build(lambda lr: bicubic(lr) + 0.3).predictor
    restoration = restorer.prepare(Picture(photograph()))
    assert "2 less sharply (1, 2: identity" in restoration.report.summary
    for face in restoration.faces:
        assert face.report.action == "softened"
        assert torch.allclose(face.restored, bicubic(face.crop[None])[0], atol=1e-6)


class Means:
    """Identities are means, to four digits."""

    def __init__(self, **enough):
        self.__dict__.update(enough)

    def __call__(self, a, b):
        return 1 - round(float((a.mean() - b.mean()).abs()), 4)


@pytest.mark.parametrize(("enough", "action"), [(0.97, "softened"), (0.98, "faithful"), (0.995, "left")])
def test_less_sharp_faces_pass_that_are_alike_enough(build, enough, action):
    """None of the results is as alike as bicubic."""
    identity = Means(enough_softened=enough)
    restorer = build(lambda lr: bicubic(lr) - 0.029, identity=identity)
    restorer.__dict__["faithful"] = build(lambda lr: bicubic(lr) - 0.0157).predictor
    _, report = restorer.restore(photograph())
    assert {face.action for face in report.faces} == {action}
    assert "below the required" in report.faces[0].reason


@pytest.mark.parametrize(("enough", "action"), [(0.68, "restored"), (0.72, "left")])
def test_sharp_faces_pass_that_are_alike_enough(build, enough, action):
    restorer = build(lambda lr: (bicubic(lr) - 0.3).clamp(-1, 1), identity=Means(enough=enough))
    restorer.__dict__["faithful"] = None
    _, report = restorer.restore(photograph())
    assert {face.action for face in report.faces} == {action}
    assert {face.as_json()["identity"]["required"] for face in report.faces} == {enough}


def test_weights_without_a_sibling_have_no_faithful_ones(build):
    assert build().faithful is None


def test_tracks_of_a_video_replace_detection(build):
    rgb = photograph()
    tracks = detect(find_squares, rgb)[:1]

    def fail(rgb, threshold):
        raise AssertionError("detection was called")

    _, report = build(bicubic, network=fail).restore(rgb, tracks)
    assert len(report.faces) == 1


def test_faces_beyond_the_border_and_all_over_the_picture(build):
    rgb = with_squares(60, 60, (0, 0, 59))
    picture, report = build(brighter).restore(rgb)
    assert picture.rgb.shape == (120, 120, 3)
    assert len(report.faces) == 1
    corner = with_squares(60, 80, (0, 36, 24), (56, 0, 24))
    assert len(build(brighter).restore(corner)[1].faces) == 2


def test_a_wall_of_faces(build):
    squares = [(left, top, 20) for left in range(10, 300, 45) for top in range(10, 300, 45)]
    picture, report = build(brighter).restore(with_squares(310, 310, *squares))
    assert len(report.faces) == len(squares)
    assert {face.action for face in report.faces} == {"restored"}
    assert picture.rgb.shape == (620, 620, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3)])
def test_the_smallest_pictures(build, shape):
    picture, report = build().restore(np.zeros((*shape, 3), np.uint8))
    assert picture.rgb.shape == (2 * shape[0], 2 * shape[1], 3)
    assert report.summary == "no face found"


def test_invalid_settings_are_named(weights):
    for settings, message in (
        ({"scale": 3}, "scale=3: must be one of 1, 2, 4, 8"),
        ({"scale": 4}, "scale=4, but .*w.safetensors is a x2 network"),
        ({"scale": 2, "background": "none"}, "background=none .* needs scale=1, not 2"),
        ({"scale": 2, "background": "paper"}, "background=paper: must be weights, fast, bicubic, none"),
        ({"scale": 2, "faces": "some"}, "faces=some"),
    ):
        with pytest.raises(FacehallError, match=message):
            PhotoRestorer(weights, device="cpu", **settings)


def test_prepared_faces_can_be_pasted_later(build):
    rgb = photograph()
    restorer = build(brighter)
    prepared = restorer.prepare(Picture(rgb))
    assert [face.restored.shape[-1] for face in prepared.faces] == [
        2 * face.report.plan.side for face in prepared.faces
    ]
    pasted = assemble(prepared.picture, 2, restorer.strips(prepared))
    assert np.array_equal(pasted.rgb, restorer.restore(rgb)[0].rgb)
