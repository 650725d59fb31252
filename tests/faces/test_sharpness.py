"""How far a crop can be reduced."""

import pytest
import torch

from facehall.faces.sharpness import harmless_reduction
from facehall.imaging import resize_bicubic


def textured(side, resolution):
    """An image of `side` pixels with all the detail that `resolution` pixels can hold."""
    detail = 0.3 + 0.4 * torch.rand(3, resolution, resolution, generator=torch.Generator().manual_seed(resolution))
    return resize_bicubic(detail, (side, side)).clamp(0, 1)


@pytest.mark.parametrize(("resolution", "factors"), [(64, (2, 3)), (32, (4, 5, 6))])
def test_a_soft_image_can_be_reduced_to_the_detail_that_it_has(resolution, factors):
    # A little more than its resolution is kept, as bicubic attenuates the finest detail.
    assert harmless_reduction(textured(256, resolution), range(2, 9)) in factors


def test_hard_edges_are_kept():
    blocks = textured(16, 16).repeat_interleave(16, -1).repeat_interleave(16, -2)
    assert harmless_reduction(blocks, range(2, 9)) == 1


def test_noise_is_no_detail():
    soft = textured(256, 32)
    noisy = (soft + 0.03 * torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert harmless_reduction(noisy, range(2, 9)) >= 4


def test_a_flat_image_has_none():
    assert harmless_reduction(torch.full((3, 64, 64), 0.5), [2, 4]) == 4
    assert harmless_reduction(torch.full((3, 8, 8), 0.5), [2, 4]) == 1  # too small to judge
