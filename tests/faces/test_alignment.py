"""Similarities between a photograph and FFHQ's frame, and resampling by them."""

import cmath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehall.faces.alignment import FFHQ_POINTS, Similarity, Spline, bounds, fit, to_ffhq

maps = st.builds(
    lambda scale, angle, x, y: Similarity(cmath.rect(scale, angle), complex(x, y)),
    st.floats(0.01, 100),
    st.floats(-3.1, 3.1),
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
)


@given(maps)
def test_a_similarity_is_recovered_from_the_points_that_it_maps(similarity):
    points = np.array([(0, 0), (3, 1), (1, 4), (-2, 2), (5, -1)], float)
    found = fit(points, similarity(points))
    assert found.rotation == pytest.approx(similarity.rotation, rel=1e-9)
    assert found.shift == pytest.approx(similarity.shift, rel=1e-9, abs=1e-6 * similarity.scale)
    assert np.allclose(similarity.inverse(similarity(points)), points, atol=1e-6)
    assert Similarity.from_matrix(similarity.matrix) == similarity


def test_noise_in_one_point_moves_the_others_little():
    points = 100 * FFHQ_POINTS
    points[2] += (4, 0)  # a nose that is off by 16 % of the eyes' distance
    aligned = to_ffhq(points)(100 * FFHQ_POINTS)
    assert np.abs(aligned - FFHQ_POINTS).max() < 0.015


def test_points_that_coincide_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        to_ffhq(np.ones((5, 2)))
    with pytest.raises(ValueError, match="coincide"):
        to_ffhq(np.full((5, 2), np.nan))


def test_matrices_of_other_maps_are_refused():
    for matrix in ([[1, 0, 0], [0, 2, 0]], [[1, 0, 0], [0, -1, 0]], [[np.nan, 0, 0], [0, np.nan, 0]]):
        with pytest.raises(ValueError, match="not the matrix of a rotation"):
            Similarity.from_matrix(np.array(matrix, float))


def test_a_change_of_resolution_is_a_multiplication():
    points = 64 * FFHQ_POINTS + 10
    enlarged = to_ffhq(4 * points)
    assert enlarged.rotation == pytest.approx(to_ffhq(points).scaled(before=4).rotation)
    assert enlarged.shift == pytest.approx(to_ffhq(points).scaled(before=4).shift)


def test_bounds_of_a_turned_square():
    eighth_turn = Similarity(cmath.rect(1, cmath.pi / 4), 0j)
    left, top, right, bottom = bounds(eighth_turn, 10)
    assert (left, top, right, bottom) == pytest.approx((0, -(50**0.5), 200**0.5, 50**0.5))


def ramp(height, width):
    """Each pixel holds the coordinates of its centre."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x, y], axis=-1)


@given(st.floats(0.3, 1.2), st.floats(-3, 3))
def test_sampling_is_exact_to_a_thousandth_of_a_pixel(scale, angle):
    middle, out = complex(30, 25), complex(6, 5)
    rotation = cmath.rect(scale, angle)
    similarity = Similarity(rotation, middle - rotation * out)
    sampled = Spline.of(ramp(50, 60)).sample(similarity, (10, 12))
    expected = similarity(ramp(10, 12))
    assert np.abs(sampled - expected).max() < 1e-3


def test_the_identity_returns_the_image():
    image = np.random.default_rng(0).random((9, 13, 3)).astype(np.float32)
    assert np.abs(Spline.of(image).sample(Similarity(1, 0j), (9, 13)) - image).max() < 1e-5


def test_beyond_the_border_the_image_is_mirrored():
    image = np.random.default_rng(0).random((8, 8, 1)).astype(np.float32)
    shifted = Spline.of(image).sample(Similarity(1, complex(-3, 0)), (8, 3))
    assert np.abs(shifted - image[:, 2::-1]).max() < 1e-5
