"""The eight symmetries of the square."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehall.imaging.symmetry import COUNT, check_symmetry, transform


def test_the_symmetries_are_those_of_the_square():
    square = np.arange(9).reshape(3, 3)
    images = {transform(square, which).tobytes() for which in range(COUNT)}
    assert len(images) == 8
    group = {np.rot90(m, k).tobytes() for m in (square, square.T) for k in range(4)}
    assert images == group


@given(which=st.integers(0, 7), scale=st.integers(2, 4))
def test_symmetries_are_consistent_between_lr_and_hr(which, scale):
    lr = np.random.default_rng(which).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    hr = lr.repeat(scale, 0).repeat(scale, 1)
    assert np.array_equal(transform(lr, which).repeat(scale, 0).repeat(scale, 1), transform(hr, which))


@pytest.mark.parametrize("symmetry", ["flip", "true", None, 8])
def test_unknown_augmentation_is_an_error(symmetry):
    with pytest.raises(ValueError, match="true, mirror or false"):
        check_symmetry(symmetry)
