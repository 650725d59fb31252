"""Patch mining: flatness, thresholds, budgets; the eight symmetries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehall.data import Mining, flatness_isr, flatness_std
from facehall.data.mining import FLATNESS
from facehall.data.symmetry import COUNT, transform


def picture(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Half flat, half noise."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[:, width // 2 :] = np.random.default_rng(seed).integers(0, 256, (height, width - width // 2, 3))
    return image


def test_flatness_std_by_hand():
    patch = np.zeros((2, 2, 3), np.float32)
    patch[0] = 1
    assert flatness_std(patch) == 0.5
    assert flatness_std(np.full((4, 4, 3), 0.3, np.float32)) == pytest.approx(0, abs=1e-6)


def test_flatness_isr_is_that_of_the_library():
    """max(mean over (w, c) of the std over h, mean over (h, c) of the std over w)."""
    stripes = np.zeros((4, 4, 3), np.float32)
    stripes[::2] = 1  # rows alternate: full spread down the columns, none along the rows
    assert flatness_isr(stripes) == 0.5
    patch = np.random.default_rng(0).random((5, 7, 3))
    down = np.mean([[patch[:, w, c].std() for c in range(3)] for w in range(7)])
    along = np.mean([[patch[h, :, c].std() for c in range(3)] for h in range(5)])
    assert flatness_isr(patch) == pytest.approx(max(down, along))


def test_the_two_measures_differ_on_a_step_between_channels():
    patch = np.zeros((4, 4, 3))
    patch[..., 0] = 1  # flat in each channel
    assert flatness_isr(patch) == 0
    assert flatness_std(patch) > 0.4


@given(
    seed=st.integers(0, 999),
    size=st.integers(1, 20),
    threshold=st.floats(0, 0.5),
    budget=st.integers(0, 20),
    measure=st.sampled_from(sorted(FLATNESS)),
)
def test_accepted_patches_are_inside_and_not_flat_or_the_budget_is_spent(seed, size, threshold, budget, measure):
    lr = picture(seed)
    mining = Mining(measure, threshold, max_threshold=0.5, max_rejections=budget)
    corner = mining.mine(lr, size, epoch=0, rng=np.random.default_rng(seed))
    assert 0 <= corner.top <= 20 - size
    assert 0 <= corner.left <= 24 - size
    assert 0 <= corner.rejections <= budget
    patch = lr[corner.top : corner.top + size, corner.left : corner.left + size] / np.float32(255)
    assert corner.flatness == pytest.approx(FLATNESS[measure](patch))
    assert corner.flatness >= threshold or corner.rejections == budget


def test_a_threshold_moves_patches_out_of_the_flat_half():
    lr = picture(0, 20, 40)
    rng = np.random.default_rng(0)
    plain = [Mining().mine(lr, 4, 0, rng).left for _ in range(300)]
    mined = [Mining(threshold=0.1).mine(lr, 4, 0, rng).left for _ in range(300)]
    assert min(plain) < 5
    assert min(mined) > 16  # the noise begins at column 20


def test_every_corner_can_come():
    lr = picture(0, 5, 6)
    rng = np.random.default_rng(0)
    corners = {(c.top, c.left) for c in (Mining().mine(lr, 4, 0, rng) for _ in range(200))}
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_threshold_schedule_by_hand():
    mining = Mining("isr", threshold=0.0, increase=0.01, increase_every=5, max_threshold=0.15)
    assert [mining.threshold_at(epoch) for epoch in (0, 4, 5, 9, 10)] == pytest.approx([0, 0, 0.01, 0.01, 0.02])
    assert mining.threshold_at(75) == mining.threshold_at(10_000) == 0.15


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"measure": "mean"}, "measure is one of"),
        ({"threshold": 0.3, "max_threshold": 0.2}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"max_threshold": 0.6}, "0.5"),
        ({"increase": -1}, "increase"),
        ({"increase_every": 0}, "increase_every"),
        ({"max_rejections": -1}, "max_rejections"),
    ],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        Mining(**settings)


def test_the_eight_symmetries_are_the_square_s():
    square = np.arange(9).reshape(3, 3)
    images = {transform(square, which).tobytes() for which in range(COUNT)}
    assert len(images) == 8
    group = {np.rot90(m, k).tobytes() for m in (square, square.T) for k in range(4)}
    assert images == group


@given(which=st.integers(0, 7), scale=st.integers(2, 4))
def test_symmetries_act_alike_on_lr_and_hr(which, scale):
    lr = np.random.default_rng(which).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    hr = lr.repeat(scale, 0).repeat(scale, 1)
    assert np.array_equal(transform(lr, which).repeat(scale, 0).repeat(scale, 1), transform(hr, which))
