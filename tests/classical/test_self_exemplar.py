"""SelfExSR: sampling, matching and voting against direct computations, and the whole method on small images."""

import os
from pathlib import Path

import pytest
import torch
from small import run_command
from torch.nn import functional as F

from facehall.classical.self_exemplar import SelfExSR
from facehall.classical.self_exemplar.field import Field, Matcher, centres, offsets, patches, perturbed
from facehall.classical.self_exemplar.pyramid import Atlas, Ladder, Pyramid, scale_of
from facehall.classical.self_exemplar.voting import back_project, gaussian, vote
from facehall.cli.main import main
from facehall.errors import FacehallError
from facehall.imaging import (
    crop_to_multiple,
    downscale_bicubic,
    quantize,
    read_rgb,
    resize_bicubic,
    rgb_to_y,
    upscale_bicubic,
    write_picture,
)
from facehall.imaging import to_tensor as to_image
from facehall.inference import Predictor
from facehall.inference.upscalers import open_upscalers
from facehall.metrics import psnr
from facehall.systems import Upscaler

SHARED = os.environ.get("FACEHALL_SHARED")
QUICK = {"iterations": 2, "fewer": 1, "least": 1}


def image(height, width, seed=0):
    """Smooth, with edges that recur at several sizes."""
    noise = torch.rand(3, height // 4 + 1, width // 4 + 1, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise[None], (height, width), mode="bicubic")[0].clamp(0, 1)


def matcher(target, sources, field, step=2 ** (-1 / 3)):
    return Matcher(target, sources, field, gaussian(3.0, target), step, torch.Generator().manual_seed(0))


def test_ladders():
    assert [Ladder.to(scale).up for scale in (2, 3, 4, 8)] == [3, 5, 6, 9]
    for scale in (2, 3, 4, 8):
        ladder = Ladder.to(scale)
        assert ladder.size((31, 50), ladder.up) == (31 * scale, 50 * scale)
        assert ladder.size((80, 90), 0) == (80, 90)
        assert ladder.size((80, 90), -ladder.down) == ((9, 10) if scale == 3 else (10, 11))
    with pytest.raises(ValueError, match="2, 3, 4 or 8"):
        Ladder.to(5)


def test_pyramid_below_the_input():
    given = image(40, 48)
    pyramid = Pyramid(given, Ladder.to(4))
    assert pyramid.sharp[0] is given
    assert sorted(pyramid.sharp) == list(range(-9, 1))
    assert sorted(pyramid.blurred) == list(range(-8, 1))
    torch.testing.assert_close(pyramid.sharp[-3], resize_bicubic(given, (20, 24)))
    torch.testing.assert_close(pyramid.blurred[0], resize_bicubic(pyramid.sharp[-1], (40, 48)))
    small = Pyramid(image(6, 7), Ladder.to(4))
    assert sorted(small.sharp) == [-1, 0]
    assert sorted(small.blurred) == [0]


def test_patches_of_every_level_are_those_of_grid_sample():
    """Levels are chosen by scale; positions are those of pixel areas; outside is zero."""
    step, size = 0.5, (32, 40)
    levels = [image(16, 20, 1), image(8, 10, 2)]
    atlas = Atlas(levels, size, step)
    generator = torch.Generator().manual_seed(3)
    position = torch.rand(200, 2, generator=generator) * torch.tensor([39.0, 31.0])
    scale = torch.where(torch.arange(200) < 100, 2.0, 4.0)
    affine = scale[:, None] * perturbed(
        torch.tensor([[1.0, 0, 0, 1]]).expand(200, -1), torch.rand(200, 4, generator=generator) - 0.5
    )
    affine *= (scale / scale_of(affine))[:, None]
    taps = offsets(levels[0])
    found = atlas.patches(position, affine, taps)
    points = position[:, None] + (affine.view(-1, 1, 2, 2) * taps[None, :, None, :]).sum(dim=3)
    grid = (points + 0.5) * 2 / torch.tensor([40.0, 32.0]) - 1
    for level, half in zip(levels, (slice(100), slice(100, 200)), strict=True):
        expected = F.grid_sample(level[None], grid[None, half], align_corners=False)[0]
        torch.testing.assert_close(found[:, half], expected, atol=1e-4, rtol=0)


def test_threads_do_not_change_patches():
    atlas = Atlas([image(16, 20)], (32, 40), 0.5)
    position, affine = torch.rand(6, 2) * 30, torch.tensor([[2.0, 0, 0, 2]]).expand(6, -1)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            found.append(atlas.patches(position, affine, offsets(position)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_map_by_one_step_reads_the_next_level():
    """With A = 1 / alpha a patch's source is the next level itself, and its cost the weighted squared difference."""
    step, size = 0.5, (16, 20)
    target, level = image(16, 20, 1), image(8, 10, 2)
    field = Field.identity(size, 1 / step, target)
    field.position = ((centres(size, target) + 0.5) / 2).floor().mul(2) + 0.5  # centres of the level's pixels
    columns = ((field.position - 0.5) / 2).long()
    kept = ((columns >= 2) & (columns < torch.tensor([8, 6]))).all(dim=1)
    match = matcher(target, Atlas([level], size, step), field, step)
    whole = patches(level).view(3, 4, 6, 25)
    expected = whole[:, columns[kept, 1] - 2, columns[kept, 0] - 2]
    difference = patches(target)[:, kept] - expected
    bias = difference.mean(dim=2).clamp(-0.25, 0.25)
    cost = ((difference - bias[:, :, None]).square() * gaussian(3.0, target)).sum(dim=(0, 2))
    torch.testing.assert_close(match.bias[kept], bias.T, atol=1e-4, rtol=0)
    torch.testing.assert_close(match.cost[kept], cost, atol=1e-5, rtol=1e-3)


def test_search_lowers_costs_and_stays_inside():
    pyramid = Pyramid(image(40, 48), Ladder.to(4))
    target = pyramid.enlarged(1)
    size = tuple(target.shape[-2:])
    field = Field.identity(size, 2.0, target)
    match = matcher(target, pyramid.sources(1)[0], field)
    before = match.cost.clone()
    match.iterate()
    assert (match.cost <= before).all()
    assert match.cost.mean() < 0.7 * before.mean()
    assert (field.position >= 2).all()
    assert (field.position <= torch.tensor([size[1] - 3.0, size[0] - 3.0])).all()
    scale = scale_of(field.affine)
    assert (scale >= 2 ** (1 / 3) - 1e-4).all()
    assert (scale <= 8).all()
    again = matcher(target, pyramid.sources(1)[0], Field(size, field.position.clone(), field.affine.clone()))
    torch.testing.assert_close(again.cost, match.cost, atol=1e-6, rtol=1e-3)


def test_a_good_source_spreads_in_one_direction_after_the_other():
    size = (20, 24)
    target = image(*size)
    field = Field.identity(size, 2.0, target)
    match = matcher(target, Atlas([image(10, 12, 5)], size, 0.5), field, 0.5)
    match.cost[:] = 100.0
    match._fresh.zero_()
    x, y = centres(size, target).unbind(dim=1)
    start = ((x == 12) & (y == 10)).nonzero().item()
    field.position[start] = torch.tensor([4.0, 10.0])
    match.cost[start] = 0.0
    match._fresh[start] = True

    match._propagate(1, 0)
    # The source moves by two pixels a step, until it is where the patch's own source is, at x = 20.
    row = (y == 10) & (x > 12) & (x < 20)
    assert torch.equal(match.cost < 100, row | (x == 12) & (y == 10))
    torch.testing.assert_close(field.position[row], torch.stack((2 * x - 20, y), dim=1)[row])
    match._propagate(0, 1)
    # … or until it leaves the image.
    below = (x >= 12) & (x < 20) & (y >= 10) & (y <= 13)
    assert torch.equal(match.cost < 100, below)
    torch.testing.assert_close(field.position[below], torch.stack((2 * x - 20, 2 * y - 10), dim=1)[below])
    assert torch.equal(match._fresh, below)


def test_a_resized_field_points_at_the_same_places():
    size, larger = (20, 30), (40, 60)
    field = Field.identity(size, 2.0, torch.zeros(1))
    resized = field.resized(larger)
    inside = ((centres(larger, torch.zeros(1)) >= 8) & (centres(larger, torch.zeros(1)) < 30)).all(dim=1)
    # A patch half a pixel beside an old centre moves by A times that.
    shift = resized.position[inside] - centres(larger, torch.zeros(1))[inside]
    torch.testing.assert_close(shift.abs(), torch.full_like(shift, 0.5))
    assert torch.equal(resized.affine, field.affine[:1].expand(len(resized.affine), -1))


def test_voting_with_exact_sources_gives_the_image():
    size = (16, 20)
    level = image(8, 10)
    field = Field.identity(size, 1.0, level)  # clamped to the first level, where A = I enlarges bilinearly
    found = vote(field, torch.full((len(field.position), 3), 0.125), Atlas([level], size, 0.5), gaussian(3.0, level))
    expected = F.interpolate(level[None], size, mode="bilinear")[0] + 0.125
    torch.testing.assert_close(found[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-4, rtol=0)


def test_back_projection_approaches_the_input():
    given = image(10, 12)
    start = (upscale_bicubic(given, 2) + 0.1 * torch.randn(3, 20, 24)).clamp(0, 1)
    errors = [(downscale_bicubic(back_project(start, given, n), 2) - given).abs().mean() for n in (0, 5, 10, 20)]
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > errors[3] * 2
    assert errors[3] < 0.15 * errors[0]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (6, 8)])
def test_any_size_and_scale(size, scale):
    sr = SelfExSR(scale, iterations=1, least=1).upscale(torch.rand(3, *size))
    assert sr.shape == (3, scale * size[0], scale * size[1])
    assert sr.isfinite().all()
    assert sr.min() >= 0
    assert sr.max() <= 1


def test_it_is_deterministic_and_seedable():
    lr = image(14, 17)
    first, again, other = (SelfExSR(2, seed, **QUICK).upscale(lr) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_better_than_bicubic_on_recurring_edges():
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    stripes = ((x * 0.8 + y * 0.6) / 14).floor().remainder(2)
    hr = downscale_bicubic(stripes.expand(3, -1, -1), 2).clamp(0, 1)
    lr = downscale_bicubic(hr, 2)
    assert psnr(SelfExSR(2).upscale(lr)[None], hr[None]) > psnr(upscale_bicubic(lr, 2)[None], hr[None]) + 1


def test_progress_counts_every_iteration():
    calls = []
    method = SelfExSR(4, **QUICK)
    method.synthesize(image(8, 9), lambda: calls.append(1))
    assert len(calls) == sum(method.iterations) == 2 + 1 * 5


def test_iterations_of_the_paper():
    assert SelfExSR(4).iterations == [12, 9, 6, 3, 3, 3]
    assert SelfExSR(2).iterations == [12, 9, 6]


def test_as_a_system():
    upscalers = open_upscalers({"bicubic": "bicubic", "mine": "selfexsr"}, scale=2)
    assert [each.name for each in upscalers] == ["bicubic", "mine"]
    assert all(isinstance(each, Upscaler) for each in upscalers)
    assert upscalers[1].scale == 2
    with pytest.raises(FacehallError, match="bicubic and selfexsr have no scale"):
        open_upscalers({"selfexsr": "selfexsr"})
    with pytest.raises(FacehallError, match="scale=6: selfexsr upscales by 2, 3, 4, 8"):
        open_upscalers({"selfexsr": "selfexsr"}, scale=6)


def test_upscale_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "in.png", (255 * image(9, 11)).byte().permute(1, 2, 0).numpy())
    assert run_command(main, "upscale", "in.png", "-w", "selfexsr", "-s", 2, "-q") == 0
    sr = to_image(read_rgb(tmp_path / "in_x2.png"))
    lr = to_image(read_rgb(tmp_path / "in.png"))
    torch.testing.assert_close(sr, quantize(SelfExSR(2).upscale(lr)), atol=0.6 / 255, rtol=0)


def test_settings_that_do_not_apply():
    with pytest.raises(FacehallError, match="fidelity"):
        Predictor("selfexsr", fidelity=0.5)
    with pytest.raises(FacehallError, match="tile=64"):
        Predictor("selfexsr", tile=64)
    with pytest.raises(FacehallError, match="backend=onnxruntime cannot run SelfExSR"):
        Predictor("selfexsr", backend="onnxruntime")
    with pytest.raises(FacehallError, match="scale=2, but facehall-x4"):
        Predictor("facehall-x4", scale=2)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the benchmark images")
def test_butterfly():
    """Published, with planes: 24.17 dB at x4 (luma, four pixels cropped)."""
    hr = crop_to_multiple(to_image(read_rgb(Path(SHARED, "data/benchmark/Set5/HR/img_003.png"))), 4)
    sr = quantize(SelfExSR(4).upscale(quantize(downscale_bicubic(hr, 4))))
    luma = [rgb_to_y(each)[None, :, 4:-4, 4:-4] for each in (sr, hr)]
    assert psnr(*luma) > 24.17 - 0.3
