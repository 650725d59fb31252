"""Similarities between points, and warps by them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facehall.faces.similarity import invert, similarity, transform, warp


def matrix(scale, angle, x, y):
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[cos, -sin, x], [sin, cos, y]])


@settings(max_examples=30, deadline=None)
@given(st.floats(0.05, 20), st.floats(-3, 3), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_of_points_is_found_again(scale, angle, x, y):
    wanted = matrix(scale, angle, x, y).double()
    points = torch.tensor([[0.0, 0], [10, 1], [4, 9], [2, 2], [7, 5]]).double()
    found = similarity(points, transform(wanted, points))
    assert torch.allclose(found, wanted, atol=1e-4)
    assert torch.allclose(transform(invert(found), transform(found, points)), points, atol=1e-6)


def test_least_squares_and_batches():
    """No other similarity near the result is better, and a mirrored face is not reflected."""
    torch.manual_seed(0)
    source, target = torch.randn(2, 3, 5, 2).double(), torch.randn(5, 2).double()
    found = similarity(source, target)
    assert found.shape == (2, 3, 2, 3)
    assert (torch.linalg.det(found[..., :2]) >= 0).all()
    error = (transform(found, source) - target).square().sum((-2, -1))
    for other in (matrix(1.01, 0.0, 0, 0), matrix(1, 0.01, 0, 0), matrix(1, 0, 0.01, 0), matrix(0.99, -0.01, 0, 0.01)):
        moved = transform(other.double(), transform(found, source))
        assert ((moved - target).square().sum((-2, -1)) > error).all()


def test_an_identity_warp_returns_the_picture():
    images = torch.rand(2, 3, 16, 16)
    assert torch.allclose(warp(images, matrix(1, 0, 0, 0).expand(2, 2, 3), 16), images, atol=1e-5)


def test_a_warp_moves_pixels_by_their_centres():
    images = torch.zeros(1, 1, 8, 8)
    images[0, 0, 2, 5] = 1
    moved = warp(images, matrix(1, 0, -3, 1)[None], 8)
    assert moved[0, 0, 3, 2] == pytest.approx(1, abs=1e-5)
    turned = warp(images, matrix(1, math.pi / 2, 7, 0)[None], 8)  # (5, 2) -> (7 - 2, 5)
    assert turned[0, 0, 5, 5] == pytest.approx(1, abs=1e-4)


def test_reductions_are_antialiased_and_differentiable():
    """Stripes that are finer than an output pixel average out instead of aliasing."""
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64).clone().requires_grad_(True)
    small = warp(stripes, matrix(1 / 8, 0, -7 / 16, -7 / 16)[None], 8)
    assert (small - 0.5).abs().max() < 1e-4
    small.sum().backward()
    assert stripes.grad.sum() == pytest.approx(64, rel=1e-4)
