"""Bicubic resampling by convolutions is that of `facehall.imaging.bicubic`, away from the border."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.imaging.kernels import enlarging_kernel, lost_kernel, reducing_kernel

SCALES = pytest.mark.parametrize("scale", [2, 3, 4, 8])


def image(side):
    return torch.rand(1, 1, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def inner(images, border):
    return images[..., border:-border, border:-border]


@SCALES
def test_enlarging(scale):
    lr = image(12)
    enlarged = F.pixel_shuffle(F.conv2d(lr, enlarging_kernel(scale), padding=2), scale)
    assert_close(inner(enlarged, 2 * scale), inner(upscale_bicubic(lr, scale), 2 * scale))


@SCALES
def test_reducing(scale):
    hr = image(12 * scale)
    kernel = reducing_kernel(scale)
    reduced = F.conv2d(hr, kernel, stride=scale, padding=(kernel.shape[-1] - scale) // 2)
    assert_close(inner(reduced, 2), inner(downscale_bicubic(hr, scale), 2))


@SCALES
def test_what_enlarging_and_reducing_loses(scale):
    lr = image(20)
    lost = F.conv2d(lr, lost_kernel(scale), padding="same")
    expected = lr - downscale_bicubic(upscale_bicubic(lr, scale), scale)
    assert_close(inner(lost, 4), inner(expected, 4))
