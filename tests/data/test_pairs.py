"""LR and HR that belong together: by name, by size, from a box, out of the cache."""

import numpy as np
import pytest
from picture_folders import make_div2k, make_pairs, names, write
from PIL import Image

from facehall.config import build
from facehall.data import BicubicDegradation, ImageFile, PairedSource, load_pair
from facehall.data.pairs import PairCache, check_sizes
from facehall.data.sources import SPLITS
from facehall.errors import FacehallError


def test_pairs_go_together_by_name(tmp_path):
    source = PairedSource(make_pairs(tmp_path), 0.25, 0.25)
    files = [file for which in SPLITS for file in source.split(which)]
    assert sorted(file.name for file in files) == ["0", "1", "2", "3"]
    assert all(file.lr.stem == file.hr.stem for file in files)
    lr, hr = load_pair(files[0], 2, BicubicDegradation())
    assert (lr.shape, hr.shape) == ((12, 16, 3), (24, 32, 3))


def test_strays_are_listed(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "HR" / "stray.png")
    write(tmp_path / "LR" / "other.png")
    with pytest.raises(FacehallError, match=r"identical names.*2 stand.*Add what is missing") as error:
        PairedSource(tmp_path).split("train")
    assert "HR/stray.png" in str(error.value)
    assert "LR/other.png" in str(error.value)


def test_many_strays_are_counted(tmp_path):
    make_pairs(tmp_path)
    for i in range(13):
        write(tmp_path / "HR" / f"stray{i:02d}.png")
    with pytest.raises(FacehallError, match=r"stray09\.png and 3 more"):
        PairedSource(tmp_path).split("train")


def test_two_lr_files_of_one_name_are_refused(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "LR" / "0x2.png")
    with pytest.raises(FacehallError, match="both the LR image of 0"):
        PairedSource(tmp_path).split("train")


def test_a_folder_without_pairs_is_told_what_is_needed(photographs):
    with pytest.raises(FacehallError, match=r"HR is missing: data=paired takes.*data=folder"):
        PairedSource(photographs).split("train")


def test_pairs_may_lie_in_folders_of_their_splits(tmp_path):
    for which in SPLITS:
        make_pairs(tmp_path / which, count=2)
    assert names(PairedSource(tmp_path), "val") == ["val/0", "val/1"]


@pytest.mark.parametrize(("size", "fits"), [((9, 7), True), ((8, 6), True), ((9, 6), False), ((8, 7), False)])
def test_lr_of_an_hr_that_is_no_multiple_may_be_rounded_up_or_down(tmp_path, size, fits):
    file = ImageFile("a", write(tmp_path / "hr.png", 34, 26), write(tmp_path / "lr.png", *size))
    if not fits:
        with pytest.raises(FacehallError, match=r"lr\.png has"):
            load_pair(file, 4, BicubicDegradation())
        return
    lr, hr = load_pair(file, 4, BicubicDegradation())
    assert (lr.shape, hr.shape) == ((6, 8, 3), (24, 32, 3))
    assert np.array_equal(lr, np.asarray(Image.open(file.lr))[:6, :8])


def test_lr_and_hr_that_do_not_match_are_named_with_their_sizes(tmp_path):
    source = PairedSource(make_pairs(tmp_path, scale=2), 0, 1)
    with pytest.raises(FacehallError, match=r"LR/0\.png has 16x12 pixels.*32x24 needs 8x6.*scale=4"):
        load_pair(source.split("test")[0], 4, BicubicDegradation())


def test_hr_is_cropped_to_what_lr_covers(tmp_path):
    file = ImageFile("a", write(tmp_path / "hr.png", 33, 25), write(tmp_path / "lr.png", 16, 12))
    lr, hr = load_pair(file, 2, BicubicDegradation())
    assert (lr.shape, hr.shape) == ((12, 16, 3), (24, 32, 3))


def test_lr_is_the_protocols(tmp_path):
    from facehall.imaging import to_tensor, to_uint8
    from facehall.metrics import make_lr

    file = ImageFile("a", write(tmp_path / "hr.png", 35, 30))
    lr, hr = load_pair(file, 4, BicubicDegradation())
    assert np.array_equal(lr, to_uint8(make_lr(to_tensor(hr), 4)))
    assert hr.shape == (28, 32, 3)


def test_boxes_are_cut_out(tmp_path):
    path = write(tmp_path / "hr.png")
    whole = np.asarray(Image.open(path))
    _, hr = load_pair(ImageFile("a", path, box=(4, 8, 20, 16)), 2, BicubicDegradation())
    assert np.array_equal(hr, whole[8:16, 4:20])
    with pytest.raises(FacehallError, match="lies outside"):
        load_pair(ImageFile("a", path, box=(4, 8, 40, 16)), 2, BicubicDegradation())


def test_a_picture_smaller_than_the_scale_is_named(tmp_path):
    file = ImageFile("a", write(tmp_path / "tiny.png", 3, 3))
    with pytest.raises(FacehallError, match=r"tiny\.png: 3x3 pixels are too few for x4"):
        load_pair(file, 4, BicubicDegradation())


def test_sizes_are_checked_from_headers(tmp_path):
    large, small = ImageFile("l", write(tmp_path / "l.png")), ImageFile("s", write(tmp_path / "s.png", 32, 20))
    check_sizes([large], 32)
    with pytest.raises(FacehallError, match=r"s\.png: 32x20 pixels are too few for patches of 32x32"):
        check_sizes([large, small], 32)
    with pytest.raises(FacehallError, match="16x8 pixels"):
        check_sizes([ImageFile("l", large.hr, box=(0, 0, 16, 8))], 32)


def test_the_cache_gives_the_same_and_keeps_its_size(tmp_path):
    files = [ImageFile(str(i), write(tmp_path / f"{i}.png", 32 + 2 * i, 32)) for i in range(5)]
    plain = [load_pair(file, 2, BicubicDegradation()) for file in files]
    cache = PairCache(2, BicubicDegradation(), megabytes=1e4 / 2**20)  # room for two of 3.8 to 4.8 kB
    for _ in range(2):
        for file, (lr, hr) in zip(files, plain, strict=True):
            cached = cache(file)
            assert np.array_equal(cached[0], lr)
            assert np.array_equal(cached[1], hr)
            assert sum(a.nbytes + b.nbytes for a, b in cache._pairs.values()) <= 10_000
    assert list(cache._pairs) == files[-2:]
    assert cache(files[4])[0] is cache(files[4])[0]


@pytest.mark.parametrize("data", ["sample", "folder", "images", "paired", "div2k"])
def test_every_option_builds(compose_config, tmp_path, data):
    root = make_pairs(make_div2k(tmp_path))
    overrides = [f"data={data}"] + ([f"data.root={root}"] if data != "sample" else [])
    source = build(compose_config("train", *overrides, f"run_dir={tmp_path}").data, "data")
    assert source.split("test")
