"""Quantisation, colour conversion and contact sheets."""

import numpy as np
import pytest
import torch

from facehall.imaging import (
    comparison_sheet,
    crop_to_multiple,
    eight_bits,
    quantize,
    rgb_to_y,
    to_levels,
    to_tensor,
    to_uint8,
)


def test_quantize_clamps_and_rounds():
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.3])
    torch.testing.assert_close(quantize(values), torch.tensor([0, 0, 0, 1 / 255, 1, 1]))


def test_to_uint8_rounds_instead_of_truncating():
    image = torch.full((3, 1, 2), 0.999)
    assert to_uint8(image).tolist() == [[[255] * 3] * 2]


def test_arrays_and_tensors_round_trip():
    array = np.arange(256, dtype=np.uint8).reshape(8, 32, 1).repeat(3, 2)
    tensor = to_tensor(array)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 8, 32)
    assert tensor.max() == 1
    assert np.array_equal(to_uint8(tensor), array)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_16_bit_level_round_trips(channels):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(channels, 2)[::-1]
    assert np.array_equal(to_levels(to_tensor(levels), np.uint16), levels)
    assert np.array_equal(eight_bits(levels), to_levels(to_tensor(levels)))  # 257 levels to one
    assert eight_bits(levels).max() == 255


def test_half_precision_is_converted_before_rounding():
    image = torch.tensor([0.5, 1.0], dtype=torch.bfloat16).reshape(1, 1, 2)
    assert to_levels(image, np.uint16).ravel().tolist() == [32768, 65535]


def test_other_shapes_are_rejected():
    with pytest.raises(ValueError, match="to_tensor takes"):
        to_tensor(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="to_levels takes one image"):
        to_levels(torch.zeros(1, 3, 2, 2))


def test_crop_keeps_the_top_left():
    image = torch.rand(3, 11, 9)
    assert torch.equal(crop_to_multiple(image, 4), image[:, :8, :8])


def test_luma_against_the_formula():
    colours = torch.eye(3).reshape(3, 3, 1, 1)
    expected = (16 + torch.tensor([65.481, 128.553, 24.966])) / 255
    torch.testing.assert_close(rgb_to_y(colours).flatten(), expected)
    assert rgb_to_y(torch.ones(1, 3, 1, 1)).item() == pytest.approx(235 / 255)
    assert rgb_to_y(torch.zeros(1, 3, 1, 1)).item() == pytest.approx(16 / 255)


def test_a_sheet_shows_each_panel():
    red, green = (np.zeros((8, 8, 3), np.uint8) for _ in range(2))
    red[..., 0] = green[..., 1] = 255
    sheet = comparison_sheet([[red, green]], ["one", "two"], [["", "caption"]], cell=64)
    half = sheet.shape[1] // 2
    assert (sheet[:, :half] == [255, 0, 0]).all(-1).sum() == 64 * 64
    assert (sheet[:, half:] == [0, 255, 0]).all(-1).sum() == 64 * 64
    assert (sheet[0, 0] == 255).all()


def test_lr_pixels_are_enlarged_by_nearest_neighbour():
    lr = np.random.default_rng(0).integers(0, 200, (4, 4, 3), dtype=np.uint8)
    sheet = comparison_sheet([[lr]], [""], cell=64)
    rows = [y for y in range(sheet.shape[0]) if (sheet[y, 8:72] == lr[0].repeat(16, 0)).all()]
    assert len(rows) == 16


@pytest.mark.parametrize(
    ("rows", "titles", "captions"),
    [([], ["a"], None), ([[np.zeros((2, 2, 3), np.uint8)]], ["a", "b"], None), ([[np.zeros((2, 2))]], ["a"], None)],
)
def test_inconsistent_sheets_are_rejected(rows, titles, captions):
    with pytest.raises(ValueError):
        comparison_sheet(rows, titles, captions)


@pytest.mark.parametrize("character", ["×", "↓", "é", "Ж"])
def test_captions_may_contain_any_character(character):
    """Characters that the font lacks are all drawn as the same box."""
    panel = [[np.zeros((32, 32, 3), np.uint8)]]
    assert not np.array_equal(comparison_sheet(panel, [character]), comparison_sheet(panel, ["\uffff"]))
