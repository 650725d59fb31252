"""The before/after sheet shows crops of the actual result."""

import numpy as np
import pytest
from small import write_weights

from facehall.imaging import Picture
from facehall.inference import Predictor
from facehall.inference.before_after import CROP_SIDE, MAX_WHOLE_SIDE, MIN_PANEL_HEIGHT, compare
from facehall.inference.tiling import receptive_field

RNG = np.random.default_rng(0)


@pytest.fixture
def predictor(tmp_path):
    return Predictor(write_weights(tmp_path / "w.safetensors"), "cpu", backend="eager")


def test_the_most_detailed_crop_is_shown_as_in_the_result(tmp_path):
    predictor = Predictor(write_weights(tmp_path / "w.safetensors", 4), "cpu", backend="eager")
    rgb = np.full((3 * CROP_SIDE, 4 * CROP_SIDE, 3), 99, np.uint8)
    rgb[CROP_SIDE : 2 * CROP_SIDE, CROP_SIDE : 2 * CROP_SIDE] = RNG.integers(0, 256, (CROP_SIDE, CROP_SIDE, 3))
    side = 4 * CROP_SIDE
    assert side > MIN_PANEL_HEIGHT  # so that panels are not enlarged
    sheet = compare(predictor, Picture(rgb)).astype(int)
    panel = predictor.upscale(rgb).rgb[side : 2 * side, side : 2 * side].astype(int)
    starts = np.argwhere((np.abs(sheet - panel[0, 0]) <= 1).all(axis=2))
    shown = (sheet[top : top + side, left : left + side] for top, left in starts)
    assert any(part.shape == panel.shape and np.abs(part - panel).max() <= 1 for part in shown)


def test_a_picture_shown_whole_needs_no_receptive_field(predictor, monkeypatch):
    monkeypatch.setattr(receptive_field, "overlap", None)  # called, it would raise
    compare(predictor, Picture(np.zeros((MAX_WHOLE_SIDE, 9, 3), np.uint8)))


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (MAX_WHOLE_SIDE, CROP_SIDE), (300, 2)])
def test_any_size(predictor, size):
    assert compare(predictor, Picture(RNG.integers(0, 256, (*size, 3), dtype=np.uint8))).dtype == np.uint8


def test_sixteen_bits_and_transparency(predictor):
    deep = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    assert compare(predictor, Picture(deep, np.zeros((20, 30), np.uint16))).dtype == np.uint8
