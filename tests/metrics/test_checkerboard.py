"""Checkerboard strength: correct for synthetic grids, and zero without one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facehall.data import SampleSource
from facehall.data.patches.pairs import read_hr
from facehall.imaging import crop_to_multiple, to_tensor
from facehall.metrics import bicubic_sr, make_lr
from facehall.metrics.checkerboard import grid_energy

PHOTOGRAPHS = [file for which in ("train", "val", "test") for file in SampleSource().split(which)]


def levels(images, flat, period, share=0.25):
    return 255 * grid_energy(images, flat, period, share).clamp(min=0).sqrt()


def grid(period, side, amplitude):
    """Return a dot every `period` pixels in both directions, with a standard deviation of `amplitude` levels."""
    dots = torch.zeros(1, 3, side, side)
    dots[..., ::period, ::period] = 1
    return (dots - dots.mean()) / dots.std() * amplitude / 255


@settings(max_examples=20)
@given(period=st.sampled_from([2, 3, 4, 8]), amplitude=st.floats(0.1, 10), seed=st.integers(0, 9))
def test_a_grid_on_grey_has_its_own_standard_deviation(period, amplitude, seed):
    side = 32 * period
    grey = torch.full((1, 3, side, side), 0.5)
    found = levels(grey + grid(period, side, amplitude), grey, period)
    torch.testing.assert_close(found, torch.tensor([amplitude]), rtol=0.02, atol=0.01)
    moved = grid(period, side, amplitude).roll((seed, 1), (-2, -1))  # independent of the position of the dots
    torch.testing.assert_close(levels(grey + moved, grey, period), found, rtol=1e-3, atol=1e-3)


def test_noise_is_not_a_grid():
    torch.manual_seed(0)
    noise = 0.5 + 3 / 255 * torch.randn(4, 3, 256, 256)
    assert levels(noise, noise, 4).max() < 0.4
    assert levels(noise + grid(4, 256, 3.0), noise, 4).min() > 2.8


@pytest.mark.parametrize("file", PHOTOGRAPHS, ids=lambda file: file.name)
def test_photographs_and_bicubic_have_none_and_dots_on_them_are_found(file):
    hr = to_tensor(read_hr(file))[None]
    hr = crop_to_multiple(hr[..., :320, :320], 4)
    bicubic = bicubic_sr(make_lr(hr, 4), 4)
    assert levels(bicubic, hr, 4).item() < 0.2
    height, width = hr.shape[-2:]
    dots = grid(4, 320, 1.2)[..., :height, :width]
    assert levels(bicubic + dots, hr, 4).item() == pytest.approx(1.2, abs=0.2)


def test_patterns_of_other_periods_are_ignored():
    grey = torch.full((1, 3, 240, 240), 0.5)
    assert levels(grey + grid(5, 240, 3.0), grey, 4).item() < 0.05


def test_only_flat_regions_count():
    torch.manual_seed(0)
    flat = torch.full((1, 3, 128, 128), 0.5)
    flat[..., 64:, :] = torch.rand(3, 64, 128)
    dotted = flat.clone()
    dotted[..., 64:, :] += grid(4, 128, 8.0)[0, :, 64:]
    assert levels(dotted, flat, 4).item() < 0.05


def test_images_smaller_than_a_block_give_nan():
    assert math.isnan(grid_energy(torch.rand(1, 3, 31, 64), torch.rand(1, 3, 31, 64), 4).item())


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="period of at least 2"):
        grid_energy(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), 1)
