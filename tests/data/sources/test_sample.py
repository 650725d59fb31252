"""The sample photographs."""

import pytest
from picture_folders import names

from facehall.data import BicubicDegradation, SampleSource, load_pair
from facehall.data.sources.base import SPLITS
from facehall.errors import FacehallError


def test_sample_has_faces_in_val_and_test_and_no_duplicates():
    splits = {which: SampleSource().split(which) for which in SPLITS}
    assert "astronaut" in names(SampleSource(), "val")
    assert "grace_hopper" in names(SampleSource(), "test")
    paths = [file.hr for files in splits.values() for file in files]
    assert len(paths) == len(set(paths))
    assert len(splits["train"]) >= 8


@pytest.mark.parametrize("which", SPLITS)
def test_sample_pictures_exist_and_contain_their_boxes(which):
    for file in SampleSource().split(which):
        lr, hr = load_pair(file, 8, BicubicDegradation())
        assert hr.shape == (lr.shape[0] * 8, lr.shape[1] * 8, 3)
        if which != "train":
            assert hr.shape == (256, 256, 3)


def test_a_package_without_its_photograph_is_named(monkeypatch):
    monkeypatch.setitem(sample_files(), "val", [(("skimage", "data"), "gone.png", None)])
    with pytest.raises(FacehallError, match=r"gone\.png is missing.*skimage"):
        SampleSource().split("val")
    monkeypatch.setitem(sample_files(), "val", [(("no_such_package",), "gone.png", None)])
    with pytest.raises(FacehallError, match="no_such_package, which is not installed"):
        SampleSource().split("val")


def sample_files():
    from facehall.data.sources import sample

    return sample._FILES
