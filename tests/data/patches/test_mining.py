"""Patch mining: flatness, thresholds, budgets, and equivalence to naive rejection sampling."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facehall.data import Corner, Mining
from facehall.data.patches.flatness import MEASURES, flatness, flatness_map

measures = st.sampled_from(MEASURES)


def picture(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Return a picture that is half flat, half noise."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[:, width // 2 :] = np.random.default_rng(seed).integers(0, 256, (height, width - width // 2, 3))
    return image


def mine(mining: Mining, lr: np.ndarray, size: int, rng: np.random.Generator, budget: int | None = None) -> Corner:
    return mining.draw(mining.index(lr, size), lr.shape[1] - size + 1, 0, rng, budget)


def naive_miner(mining: Mining, lr: np.ndarray, size: int, rng: np.random.Generator) -> Callable[[], Corner]:
    """Reference: draw corners one by one until a patch is not flat or the budget is spent."""
    values = {}  # of the corners seen so far

    def draw() -> Corner:
        rejections = 0
        while True:
            top, left = int(rng.integers(lr.shape[0] - size + 1)), int(rng.integers(lr.shape[1] - size + 1))
            if (top, left) not in values:
                values[top, left] = flatness(lr[top : top + size, left : left + size], mining.measure)
            value = values[top, left]
            if value >= mining.threshold or rejections == mining.max_rejections:
                return Corner(top, left, value, rejections)
            rejections += 1

    return draw


def test_std_matches_a_hand_computed_value():
    patch = np.zeros((2, 2, 3), np.uint8)
    patch[0] = 255
    assert flatness(patch, "std") == 0.5
    assert flatness(np.full((4, 4, 3), 77, np.uint8), "std") == 0


def test_isr_matches_the_library():
    """max(mean over (w, c) of the std over h, mean over (h, c) of the std over w)."""
    stripes = np.zeros((4, 4, 3), np.uint8)
    stripes[::2] = 255  # alternating rows: maximal std along columns, none along rows
    assert flatness(stripes, "isr") == 0.5
    patch = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    down = np.mean([[patch[:, w, c].std() for c in range(3)] for w in range(7)]) / 255
    along = np.mean([[patch[h, :, c].std() for c in range(3)] for h in range(5)]) / 255
    assert flatness(patch, "isr") == pytest.approx(max(down, along))


def test_only_std_counts_a_tint_as_texture():
    patch = np.zeros((4, 4, 3), np.uint8)
    patch[..., 0] = 255
    assert flatness(patch, "isr") == 0
    assert flatness(patch, "std") > 0.4


@given(seed=st.integers(0, 99), height=st.integers(1, 12), width=st.integers(1, 12), measure=measures, data=st.data())
def test_the_map_holds_the_flatness_of_every_patch(seed, height, width, measure, data):
    lr = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    size = data.draw(st.integers(1, min(height, width)))
    found = flatness_map(lr, size, measure)
    assert found.shape == (height - size + 1, width - size + 1)
    direct = [
        [flatness(lr[y : y + size, x : x + size], measure) for x in range(found.shape[1])] for y in range(len(found))
    ]
    np.testing.assert_allclose(found, direct, atol=1e-6)


def test_a_uniform_picture_has_flatness_exactly_zero():
    bright = np.full((600, 600, 3), 254, np.uint8)
    for measure in MEASURES:
        assert flatness_map(bright, 192, measure).max() == 0


@given(
    seed=st.integers(0, 999),
    size=st.integers(1, 20),
    threshold=st.floats(0, 0.5, width=32, allow_subnormal=False),
    budget=st.integers(0, 20),
    measure=measures,
)
def test_accepted_patches_are_inside_and_not_flat_or_the_budget_is_spent(seed, size, threshold, budget, measure):
    lr = picture(seed)
    mining = Mining(measure, threshold, max_threshold=0.5, max_rejections=budget)
    corner = mine(mining, lr, size, np.random.default_rng(seed))
    assert 0 <= corner.top <= 20 - size
    assert 0 <= corner.left <= 24 - size
    assert 0 <= corner.rejections <= budget
    patch = lr[corner.top : corner.top + size, corner.left : corner.left + size]
    assert corner.flatness == pytest.approx(flatness(patch, measure), abs=1e-6)
    assert corner.flatness >= threshold or corner.rejections == budget


def chi_squared(ours: list, theirs: list) -> float:
    """Return chi squared per degree of freedom of two samples of equal length: about 1 for equal distributions."""
    values, labels = np.unique(ours + theirs, axis=0, return_inverse=True)
    counts = np.zeros((2, len(values)))
    np.add.at(counts, (np.repeat([0, 1], len(ours)), labels.ravel()), 1)
    return float(((counts[0] - counts[1]) ** 2 / counts.sum(0)).sum() / (len(values) - 1))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(("threshold", "budget"), [(0.1, 50), (0.25, 6), (0.4, 3), (0.05, 0)])
def test_the_same_distribution_as_naive_rejection(measure, threshold, budget):
    """Joint distribution of positions and rejections; seeded, so the bound of four standard deviations is not flaky."""
    lr = picture(5, 9, 12)
    mining = Mining(measure, threshold, max_threshold=0.5, max_rejections=budget)
    rng, index, count = np.random.default_rng(7), mining.index(lr, 5), 6000
    ours = [mining.draw(index, 8, 0, rng) for _ in range(count)]
    draw = naive_miner(mining, lr, 5, rng)
    theirs = [draw() for _ in range(count)]
    place = chi_squared([(c.top, c.left) for c in ours], [(c.top, c.left) for c in theirs])
    cells = 5 * 8
    assert place < 1 + 4 * np.sqrt(2 / cells)
    assert np.mean([c.rejections for c in ours]) == pytest.approx(np.mean([c.rejections for c in theirs]), abs=0.15)
    spent = [np.mean([c.rejections == budget for c in corners]) for corners in (ours, theirs)]
    assert spent[0] == pytest.approx(spent[1], abs=0.03)


def test_the_distributions_differ_where_the_thresholds_do():
    """Shows that the previous test can fail."""
    lr, rng = picture(5, 9, 12), np.random.default_rng(7)
    loose, strict = (Mining("std", tau, max_threshold=0.5) for tau in (0.1, 0.25))
    index, draw = loose.index(lr, 5), naive_miner(strict, lr, 5, rng)
    ours = [loose.draw(index, 8, 0, rng) for _ in range(2000)]
    theirs = [draw() for _ in range(2000)]
    assert chi_squared([(c.top, c.left) for c in ours], [(c.top, c.left) for c in theirs]) > 5


def test_a_threshold_moves_patches_out_of_the_flat_half():
    lr, rng = picture(0, 20, 40), np.random.default_rng(0)
    assert min(mine(Mining(), lr, 4, rng).left for _ in range(300)) < 5
    assert min(mine(Mining(threshold=0.1), lr, 4, rng).left for _ in range(300)) > 16  # the noise starts at column 20


def test_every_corner_can_be_drawn():
    lr, rng = picture(0, 5, 6), np.random.default_rng(0)
    corners = {(c.top, c.left) for c in (mine(Mining(), lr, 4, rng) for _ in range(200))}
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_a_remaining_budget_can_be_passed():
    lr, rng = picture(0), np.random.default_rng(0)
    hopeless = Mining(threshold=0.5, max_threshold=0.5, max_rejections=9)
    assert mine(hopeless, lr, 4, rng).rejections == 9
    assert mine(hopeless, lr, 4, rng, budget=2).rejections == 2


def test_threshold_schedule_matches_hand_computed_values():
    mining = Mining("isr", threshold=0.0, increase=0.01, increase_every=5, max_threshold=0.15)
    assert [mining.threshold_at(epoch) for epoch in (0, 4, 5, 9, 10)] == pytest.approx([0, 0, 0.01, 0.01, 0.02])
    assert mining.threshold_at(75) == mining.threshold_at(10_000) == 0.15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "mean"}, "measure must be one of"),
        ({"threshold": 0.3, "max_threshold": 0.2}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"max_threshold": 0.6}, "0.5"),
        ({"increase": -1}, "increase"),
        ({"increase_every": 0}, "increase_every"),
        ({"max_rejections": -1}, "max_rejections"),
        ({"group": 0}, "group"),
    ],
)
def test_invalid_settings_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        Mining(**settings)
