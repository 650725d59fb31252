"""LR and HR pairs: matching by name and size, boxes, and the store."""

import os

import numpy as np
import pytest
from picture_folders import make_div2k, make_pairs, names, write
from PIL import Image

from facehall.config.build import build
from facehall.data import DiskStore, ImageFile, MemoryStore, Mining, PairedSource, Pairs, load_pair
from facehall.data.degradations import BicubicDegradation
from facehall.data.patches.pairs import check_pairs
from facehall.data.sources.base import SPLITS
from facehall.errors import FacehallError


def test_pairs_are_matched_by_name(tmp_path):
    source = PairedSource(make_pairs(tmp_path), 0.25, 0.25)
    files = [file for which in SPLITS for file in source.split(which)]
    assert sorted(file.name for file in files) == ["0", "1", "2", "3"]
    assert all(file.lr.stem == file.hr.stem for file in files)
    lr, hr = load_pair(files[0], 2, BicubicDegradation())
    assert (lr.shape, hr.shape) == ((12, 16, 3), (24, 32, 3))


def test_files_without_partner_are_listed_together(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "HR" / "stray.png")
    write(tmp_path / "LR" / "other.png")
    files = PairedSource(tmp_path, 0, 1).split("test")
    with pytest.raises(FacehallError, match="identical names") as error:
        check_pairs(files)
    assert len(str(error.value).splitlines()) == 3
    assert "HR/stray.png has no partner: " in str(error.value)
    assert "LR/other.png has no partner: " in str(error.value)
    check_pairs([file for file in files if file.name.isdigit()])


def test_two_lr_files_with_the_same_name_are_rejected(tmp_path):
    make_pairs(tmp_path)
    write(tmp_path / "LR" / "0x2.png")
    with pytest.raises(FacehallError, match="both LR images of 0"):
        PairedSource(tmp_path).split("train")


def test_a_folder_without_pairs_names_the_expected_layout(photographs):
    with pytest.raises(FacehallError, match=r"HR is missing: data=paired needs.*data=folder"):
        PairedSource(photographs).split("train")


def test_pairs_may_be_in_split_folders(tmp_path):
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


def test_boxes_are_cropped(tmp_path):
    path = write(tmp_path / "hr.png")
    whole = np.asarray(Image.open(path))
    _, hr = load_pair(ImageFile("a", path, box=(4, 8, 20, 16)), 2, BicubicDegradation())
    assert np.array_equal(hr, whole[8:16, 4:20])
    with pytest.raises(FacehallError, match=r"hr\.png has 32x32 pixels, too few for its box of 36x8"):
        load_pair(ImageFile("a", path, box=(4, 8, 40, 16)), 2, BicubicDegradation())


def test_a_picture_smaller_than_the_scale_is_named(tmp_path):
    file = ImageFile("a", write(tmp_path / "tiny.png", 3, 3))
    with pytest.raises(FacehallError, match=r"tiny\.png: 3x3 pixels are too few for x4"):
        load_pair(file, 4, BicubicDegradation())


@pytest.mark.parametrize("make_store", [lambda root: DiskStore(root), lambda root: MemoryStore(1)])
def test_stored_pairs_equal_read_pairs(tmp_path, make_store):
    source = PairedSource(make_pairs(tmp_path / "pairs"), 0, 1)
    files = [ImageFile("odd", write(tmp_path / "odd.png", 35, 27), box=(2, 1, 34, 27)), *source.split("test")]
    store = make_store(tmp_path / "store")
    for _ in range(2):
        pairs = Pairs(2, BicubicDegradation(), store)
        for file in files:
            for stored, read in zip(pairs(file), load_pair(file, 2, BicubicDegradation()), strict=True):
                assert np.array_equal(stored, read)


def test_stored_pairs_are_not_read_again_unless_the_file_changed(tmp_path):
    path, store = write(tmp_path / "a.png", 32, 32), DiskStore(tmp_path / "store")
    file = ImageFile("a", path)

    def read():
        return Pairs(2, BicubicDegradation(), store)(file)[1].copy()

    before, stat = read(), path.stat()
    path.write_bytes(bytes(stat.st_size))  # same size and mtime, so it looks unchanged
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert np.array_equal(read(), before)
    write(path, 34, 32)
    assert read().shape == (32, 34, 3)


def test_scales_share_hr_and_patch_sizes_share_lr(tmp_path):
    file, made = ImageFile("a", write(tmp_path / "a.png", 32, 32)), []

    class Counting(MemoryStore):
        def get(self, key, make):
            return super().get(key, lambda: made.append(key) or make())

    store = Counting()
    for scale in (2, 4):
        pairs = Pairs(scale, BicubicDegradation(), store)
        for size, measure in ((2, "std"), (3, "std"), (3, "isr")):
            pairs.index(file, Mining(measure), size)
    assert len(made) == 1 + 2 * (1 + 3)


@pytest.mark.parametrize("data", ["sample", "folder", "images", "paired", "div2k"])
def test_every_option_builds(compose_config, tmp_path, data):
    root = make_pairs(make_div2k(tmp_path))
    overrides = [f"data={data}"] + ([f"data.root={root}"] if data != "sample" else [])
    source = build(compose_config("train", *overrides, f"run_dir={tmp_path}").data, "data")
    assert source.split("test")
