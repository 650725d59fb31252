"""Windows, features and the averaging of overlapping patches."""

import math

import pytest
import torch
from scipy.signal import convolve2d
from small_classical import edges, random_kernels

from facehall.classical.patches import (
    FILTERS,
    apply_grouped,
    difference_filters,
    difference_windows,
    projection_kernels,
    target_size,
    upscale_patchwise,
    window_features,
    windows,
)
from facehall.imaging import upscale_bicubic

SCALES = [2, 3, 4]


def matlab_same(image, kernel):
    """conv2(image, kernel, 'same'), whose centre is at ceil((k - 1) / 2) for even sizes as well."""
    top, left = (math.ceil((side - 1) / 2) for side in kernel.shape)
    full = convolve2d(image, kernel, "full")
    return full[top : top + image.shape[0], left : left + image.shape[1]]


@pytest.mark.parametrize("scale", SCALES)
def test_differences_are_those_of_the_authors_code(scale):
    image = torch.rand(24, 30, dtype=torch.float64)
    found = torch.nn.functional.conv2d(image[None, None], difference_filters(scale))[0]
    zeros = [0] * (scale - 1)
    first, second = torch.tensor([[1, *zeros, -1]]), torch.tensor([[1, *zeros, -2, *zeros, 1]]) / 2
    for map_, kernel in zip(found, (first, first.T, second, second.T), strict=True):
        expected = torch.from_numpy(matlab_same(image.numpy(), kernel.numpy()))
        torch.testing.assert_close(map_, expected[scale:-scale, scale:-scale])


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("scale", SCALES)
def test_features_are_projected_differences(scale, step):
    image = torch.rand(8 * scale, 9 * scale)
    basis = torch.randn(FILTERS, 3 * scale, 3 * scale, 6)
    rows = difference_windows(image, scale, step)
    features = window_features(image, projection_kernels(basis, scale), step)
    assert rows.shape == (len(windows(image[None], scale, step)), FILTERS * target_size(scale))
    torch.testing.assert_close(features, rows @ basis.reshape(-1, 6), atol=1e-4, rtol=1e-4)


def test_windows_start_at_every_lr_pixel_within_the_border():
    image = torch.rand(1, 14, 12)
    found = windows(image, 2)
    assert len(found) == 3 * 2
    expected = [image[0, y : y + 6, x : x + 6].flatten() for y in (2, 4, 6) for x in (2, 4)]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("scale", SCALES)
def test_the_right_details_give_the_right_picture_except_at_the_border(scale):
    hr = edges(12 * scale, 1, channels=1)[0]
    lr = hr[:, ::scale, ::scale]
    details = windows(hr - upscale_bicubic(lr, scale), scale)
    sr = upscale_patchwise(lr[None], random_kernels(scale, 3), lambda features: details)[0]
    inner = slice(scale, -scale)
    torch.testing.assert_close(sr[:, inner, inner], hr[:, inner, inner], atol=1e-5, rtol=0)
    border = torch.ones_like(sr, dtype=torch.bool)
    border[:, inner, inner] = False
    assert torch.equal(sr[border], upscale_bicubic(lr, scale)[border])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 20), (5, 5), (5, 6), (6, 7), (9, 5)])
def test_any_size(size):
    lr = torch.rand(2, 1, *size)
    kernels = random_kernels(2, 3)
    details = upscale_patchwise(lr, kernels, lambda features: torch.ones(len(features), 36)) - upscale_bicubic(lr, 2)
    expected = torch.zeros(2, 1, 2 * size[0], 2 * size[1])
    if min(size) >= 5:
        expected[..., 2:-2, 2:-2] = 1  # the mean of overlapping patches of ones
    torch.testing.assert_close(details, expected, atol=1e-6, rtol=0)


def test_a_batch_is_upscaled_as_its_images():
    images = torch.rand(3, 1, 8, 7)
    kernels, mix = random_kernels(2, 4), torch.randn(4, 36)
    together = upscale_patchwise(images, kernels, lambda features: features @ mix)
    alone = [upscale_patchwise(image[None], kernels, lambda features: features @ mix) for image in images]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_grouped_products():
    features, matrices = torch.randn(50, 4), torch.randn(9, 3, 4)
    choice = torch.randint(0, 7, (50,))
    expected = (matrices[choice] @ features[..., None])[..., 0]
    torch.testing.assert_close(apply_grouped(features, choice, matrices), expected)
    assert apply_grouped(features[:0], choice[:0], matrices).shape == (0, 3)
