"""The before/after sheet shows what the result shows."""

import numpy as np
import pytest

from facehall.imaging import Picture
from facehall.inference import Predictor
from facehall.inference.compare import CELL, DETAIL, compare
from small import write_weights

RNG = np.random.default_rng(0)


@pytest.fixture
def predictor(tmp_path):
    return Predictor(write_weights(tmp_path / "w.safetensors"), "cpu")


def test_the_richest_places_are_shown_as_they_are_in_the_result(predictor):
    rgb = np.full((3 * DETAIL, 4 * DETAIL, 3), 99, np.uint8)
    rgb[DETAIL : 2 * DETAIL, DETAIL : 2 * DETAIL] = RNG.integers(0, 256, (DETAIL, DETAIL, 3))
    sheet = compare(predictor, Picture(rgb))
    result = predictor.upscale(rgb).rgb[2 * DETAIL : 4 * DETAIL, 2 * DETAIL : 4 * DETAIL]
    panel = result.repeat(CELL // (2 * DETAIL), 0).repeat(CELL // (2 * DETAIL), 1)
    top = next(y for y in range(60) if (sheet[y] < 250).any(axis=1).mean() > 0.8)
    found = sheet[top : top + CELL, -CELL - 8 - 60 : -8]
    differences = [
        np.abs(found[:, left : left + CELL].astype(int) - panel).max() for left in range(found.shape[1] - CELL + 1)
    ]
    assert min(differences) <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (DETAIL, DETAIL), (300, 2)])
def test_any_size(predictor, size):
    assert compare(predictor, Picture(RNG.integers(0, 256, (*size, 3), dtype=np.uint8))).dtype == np.uint8


def test_sixteen_bits_and_transparency(predictor):
    deep = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    assert compare(predictor, Picture(deep, np.zeros((20, 30), np.uint16))).dtype == np.uint8
