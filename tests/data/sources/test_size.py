"""Downscaling of source pictures (data.size) and excluded sub-folders."""

import numpy as np
import pytest
from picture_folders import write

from facehall.data import BicubicDegradation, FacesSource, FolderSource, load_pair
from facehall.data.patches.pairs import read_hr
from facehall.errors import FacehallError
from facehall.imaging import read_rgb, resize_bicubic, to_tensor, to_uint8

EVERY = {"val_fraction": 0, "test_fraction": 1}


def test_hr_is_downscaled_with_bicubic_before_lr_is_made(tmp_path):
    write(tmp_path / "wide.png", 64, 48)
    (file,) = FolderSource(tmp_path, size=24, **EVERY).split("test")
    expected = to_uint8(resize_bicubic(to_tensor(read_rgb(file.hr)), (24, 32)))
    assert np.array_equal(read_hr(file), expected)
    lr, hr = load_pair(file, 4, BicubicDegradation())
    assert lr.shape == (6, 8, 3)
    assert np.array_equal(hr, expected)


def test_pictures_are_never_enlarged(tmp_path):
    write(tmp_path / "small.png", 20, 16)
    (file,) = FolderSource(tmp_path, size=24, **EVERY).split("test")
    assert np.array_equal(read_hr(file), read_rgb(file.hr))


def test_crops_are_downscaled_after_cropping(tmp_path):
    write(tmp_path / "face.png", 40, 40)
    (file,) = FacesSource(tmp_path, crop=32, size=16, **EVERY).split("test")
    middle = read_rgb(file.hr)[4:36, 4:36]
    assert np.array_equal(read_hr(file), to_uint8(resize_bicubic(to_tensor(middle), (16, 16))))


def test_excluded_sub_folders_are_skipped_at_any_depth(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "val/a/2.png", "test/b/3.png", "test/a/b.png"):
        write(tmp_path / name, 8, 8)
    source = FolderSource(tmp_path, exclude=["b"])
    assert [file.name for file in source.split("train")] == ["train/a/1"]
    assert [file.name for file in source.split("test")] == ["test/a/b"]


def test_a_size_of_zero_is_rejected(tmp_path):
    with pytest.raises(FacehallError, match=r"data\.size=0"):
        FolderSource(tmp_path, size=0)
