"""Bicubic resampling against MATLAB's results, including the border."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matlab_golden import DOWN, UP
from torch import nn
from torch.nn import functional as F

from facehall.data import BicubicDegradation
from facehall.errors import FacehallError
from facehall.imaging import bicubic, downscale_bicubic, resize_bicubic, upscale_bicubic


@pytest.fixture
def formula_image():
    y, x = np.mgrid[:12, :16]
    return torch.from_numpy(((37 * y + 61 * x + x * y) % 256) / 255)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downscaling_matches_matlab(formula_image, scale):
    if 16 % scale:  # the reference results for x3 are of the cropped image
        formula_image = formula_image[:, :15]
    golden = torch.tensor(DOWN[scale], dtype=torch.float64)
    torch.testing.assert_close(downscale_bicubic(formula_image, scale), golden, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_degradation_matches_matlab_at_the_border(formula_image, scale):
    hr = formula_image[:, : 16 - 16 % scale].float().expand(3, -1, -1)
    lr = BicubicDegradation()(hr, scale).mul(255)
    golden = torch.tensor(DOWN[scale]).clamp(0, 1).mul(255)
    assert (lr - golden).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscaling_matches_matlab(formula_image, scale):
    golden = torch.tensor(UP[scale], dtype=torch.float64)
    torch.testing.assert_close(upscale_bicubic(formula_image, scale)[:4, :4], golden, atol=1e-5, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    scale=st.integers(1, 8),
    up=st.booleans(),
    seed=st.integers(0, 9),
)
def test_the_fast_path_equals_the_general_one(height, width, scale, up, seed):
    """Integer ratios use torch's kernel on a padded image; the reference is the general path with MATLAB's taps."""
    images = torch.rand(2, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if not up:
        images = images.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    size = (height * scale, width * scale) if up else (height, width)
    torch.testing.assert_close(resize_bicubic(images, size), bicubic._resize_taps(images, size), atol=1e-9, rtol=0)


@settings(max_examples=40, deadline=None)
@given(old=st.tuples(st.integers(1, 30), st.integers(1, 30)), new=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_constant_images_stay_constant_at_any_ratio(old, new):
    resized = resize_bicubic(torch.full(old, 0.3, dtype=torch.float64), new)
    torch.testing.assert_close(resized, torch.full(new, 0.3, dtype=torch.float64))


def test_linear_ramps_are_reproduced_away_from_the_border():
    """A cubic kernel reproduces linear functions: pixel i of the output lies at (i + 0.5) / s - 0.5 of the input."""
    ramp = torch.arange(20, dtype=torch.float64).expand(4, 20)
    resized = upscale_bicubic(ramp, 3)[0]
    expected = (torch.arange(60, dtype=torch.float64) + 0.5) / 3 - 0.5
    torch.testing.assert_close(resized[9:-9], expected[9:-9])


def test_torchs_interpolation_differs_only_at_the_border():
    images = torch.rand(1, 3, 32, 48)
    ours = downscale_bicubic(images, 4)
    torchs = F.interpolate(images, size=(8, 12), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], torchs[..., 2:-2, 2:-2])
    assert not torch.allclose(ours, torchs, atol=1e-3)


@pytest.mark.parametrize("size", [(8, 12), (2, 3), (5, 7)])
def test_gradients(size):
    images = torch.rand(1, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize_bicubic(x, size), images)


def test_half_precision_is_computed_in_float32():
    images = torch.rand(3, 8, 8)
    assert torch.equal(upscale_bicubic(images.bfloat16(), 2), upscale_bicubic(images.bfloat16().float(), 2).bfloat16())


def test_invalid_arguments_are_rejected():
    with pytest.raises(FacehallError, match="multiples of 4"):
        downscale_bicubic(torch.rand(3, 10, 8), 4)
    for call in (
        lambda: upscale_bicubic(torch.rand(4, 4), 0),
        lambda: upscale_bicubic(torch.zeros(4, 4, dtype=torch.uint8), 2),
        lambda: resize_bicubic(torch.rand(4, 4), (0, 4)),
    ):
        with pytest.raises(ValueError):
            call()


def test_use_in_inference_mode_does_not_break_a_later_backward_pass():
    """A tensor cached in inference mode could not be saved for a backward pass."""
    images = torch.rand(1, 3, 7, 9)
    with torch.inference_mode():
        expected = resize_bicubic(images, (11, 5))
    images.requires_grad_()
    resized = resize_bicubic(images, (11, 5))
    resized.sum().backward()
    torch.testing.assert_close(resized.detach(), expected)
    assert images.grad is not None


def test_export_with_dynamic_size():
    class Base(nn.Module):
        def forward(self, images):
            return upscale_bicubic(images, 4)

    sides = {2: torch.export.Dim("height", min=2, max=4096), 3: torch.export.Dim("width", min=2, max=4096)}
    program = torch.export.export(Base(), (torch.rand(1, 3, 20, 24),), dynamic_shapes=(sides,))
    images = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(program.module()(images), upscale_bicubic(images, 4))


def test_autocast_has_no_effect():
    images = torch.rand(1, 3, 8, 8)
    for size in ((32, 32), (11, 5)):
        with torch.autocast("cpu", torch.bfloat16):
            mixed = resize_bicubic(images, size)
        assert torch.equal(mixed, resize_bicubic(images, size))
