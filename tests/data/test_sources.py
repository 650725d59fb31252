"""Sources: splits, pairs, names, and what is said when something does not fit."""

import numpy as np
import pytest
from PIL import Image

from facehall.config import build
from facehall.data import Div2kSource, FolderSource, ImageFile, PairedSource, SampleSource, load_pair
from facehall.data.degradation import BicubicDegradation
from facehall.data.pairs import PairCache, check_sizes
from facehall.data.sources import SPLITS
from facehall.errors import FacehallError
from small import make_photographs


def names(source, which):
    return [file.name for file in source.split(which)]


def write(path, width=32, height=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


# ---------------------------------------------------------------- sample


def test_sample_has_a_face_in_val_and_in_test_and_nothing_twice():
    splits = {which: SampleSource().split(which) for which in SPLITS}
    assert "astronaut" in names(SampleSource(), "val")
    assert "grace_hopper" in names(SampleSource(), "test")
    paths = [file.hr for files in splits.values() for file in files]
    assert len(paths) == len(set(paths))
    assert len(splits["train"]) >= 8


@pytest.mark.parametrize("which", SPLITS)
def test_sample_pictures_are_there_and_boxes_lie_inside(which):
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
    from facehall.data import sample

    return sample._FILES


# ---------------------------------------------------------------- folder


def test_folder_is_dealt_out_disjoint_complete_and_stable(tmp_path):
    make_photographs(tmp_path / "a", 7)
    make_photographs(tmp_path / "b" / "c", 13)
    first, again = FolderSource(tmp_path, 0.1, 0.2), FolderSource(tmp_path, 0.1, 0.2)
    dealt = {which: names(first, which) for which in SPLITS}
    assert [len(dealt[which]) for which in SPLITS] == [14, 2, 4]
    assert len({name for split in dealt.values() for name in split}) == 20
    assert dealt == {which: names(again, which) for which in SPLITS}
    assert dealt["val"] != names(FolderSource(tmp_path, 0.1, 0.2, seed=1), "val")
    assert "b/c/0" in {name for split in dealt.values() for name in split}


def test_sub_folders_are_the_splits(tmp_path):
    for which, count in (("train", 3), ("val", 2), ("test", 1)):
        make_photographs(tmp_path / which, count)
    source = FolderSource(tmp_path)
    assert [len(source.split(which)) for which in SPLITS] == [3, 2, 1]
    assert source.split("test")[0].hr.parent.name == "test"


def test_a_missing_split_is_dealt_out_of_train(tmp_path):
    make_photographs(tmp_path / "train", 10)
    make_photographs(tmp_path / "val", 2)
    source = FolderSource(tmp_path, test_fraction=0.2)
    assert [len(source.split(which)) for which in SPLITS] == [8, 2, 2]


def test_every_picture_can_be_for_test(photographs):
    source = FolderSource(photographs, val_fraction=0, test_fraction=1)
    assert len(source.split("test")) == 6
    with pytest.raises(FacehallError, match=r"gives no train images.*data\.test_fraction=1"):
        source.split("train")


def test_a_fraction_of_one_takes_every_picture_whatever_the_sub_folders(tmp_path):
    for which, count in (("train", 3), ("test", 1), ("other", 2)):
        make_photographs(tmp_path / which, count)
    source = FolderSource(tmp_path, val_fraction=0, test_fraction=1)
    assert names(source, "test") == ["other/0", "other/1", "test/0", "train/0", "train/1", "train/2"]


def test_limits_are_spread_over_the_split(tmp_path):
    make_photographs(tmp_path, 10)
    assert names(FolderSource(tmp_path, 0, 1, test_limit=5), "test") == ["0", "2", "4", "6", "8"]


def test_equal_stems_keep_their_suffix(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        write(tmp_path / name)
    assert names(FolderSource(tmp_path, 0, 1), "test") == ["a.jpg", "a.png", "b"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"val_fraction": -0.1}, "must not be negative"),
        ({"val_fraction": 0.6, "test_fraction": 0.6}, "must not exceed 1"),
        ({"val_limit": 0}, "gives no val images"),
    ],
)
def test_impossible_splits_are_refused(photographs, options, says):
    with pytest.raises(FacehallError, match=says):
        FolderSource(photographs, **options).split("val")


def test_one_picture_cannot_be_dealt_out(tmp_path):
    make_photographs(tmp_path, 1)
    with pytest.raises(FacehallError, match="too few"):
        FolderSource(tmp_path).split("train")


def test_an_unknown_split_is_refused(photographs):
    for source in (FolderSource(photographs), SampleSource()):
        with pytest.raises(FacehallError, match="train, val and test"):
            source.split("dev")


@pytest.mark.parametrize("source", [FolderSource, PairedSource])
def test_a_missing_folder_is_named(tmp_path, source):
    with pytest.raises(FacehallError, match="nowhere"):
        source(tmp_path / "nowhere").split("train")


# ---------------------------------------------------------------- pairs


def make_pairs(root, scale=2, count=4):
    for i in range(count):
        write(root / "HR" / f"{i}.png", 32, 24)
        write(root / "LR" / f"{i}.png", 32 // scale, 24 // scale)
    return root


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
    with pytest.raises(FacehallError, match=r"identical names.*2 stand") as error:
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


def test_lr_and_hr_that_do_not_match_are_named_with_their_sizes(tmp_path):
    source = PairedSource(make_pairs(tmp_path, scale=2), 0, 1)
    with pytest.raises(FacehallError, match=r"LR/0\.png has 16x12 pixels.*32x24 needs 8x6.*scale=4"):
        load_pair(source.split("test")[0], 4, BicubicDegradation())


def test_hr_is_cropped_to_what_lr_covers(tmp_path):
    file = ImageFile("a", write(tmp_path / "hr.png", 33, 25), write(tmp_path / "lr.png", 16, 12))
    lr, hr = load_pair(file, 2, BicubicDegradation())
    assert (lr.shape, hr.shape) == ((12, 16, 3), (24, 32, 3))


# ---------------------------------------------------------------- DIV2K


def make_div2k(root, test=False):
    for name, count in (("train", 3), ("valid", 4), *((("test", 2),) if test else ())):
        for i in range(1, count + 1):
            write(root / f"DIV2K_{name}_HR" / f"{i:04d}.png")
            write(root / f"DIV2K_{name}_LR_bicubic" / "X4" / f"{i:04d}x4.png", 8, 8)
    return root


def test_div2k_splits_its_validation_in_two(tmp_path):
    source = Div2kSource(make_div2k(tmp_path), scale=4)
    assert [len(source.split(which)) for which in SPLITS] == [3, 2, 2]
    assert (names(source, "val"), names(source, "test")) == (["0002", "0004"], ["0001", "0003"])


def test_div2k_with_a_test_folder_keeps_validation_whole(tmp_path):
    source = Div2kSource(make_div2k(tmp_path, test=True), scale=4)
    assert [len(source.split(which)) for which in SPLITS] == [3, 4, 2]


def test_official_lr_images_are_found_under_their_own_names(tmp_path):
    file = Div2kSource(make_div2k(tmp_path), scale=4, lr="official").split("train")[0]
    assert file.lr.name == "0001x4.png"
    assert load_pair(file, 4, BicubicDegradation())[0].shape == (8, 8, 3)


def test_without_div2k_the_way_to_it_is_shown(tmp_path):
    with pytest.raises(FacehallError, match=r"DIV2K_train_HR is missing.*https://data\.vision"):
        Div2kSource(tmp_path, scale=4).split("train")
    with pytest.raises(FacehallError, match=r"data\.lr=made"):
        Div2kSource(tmp_path, scale=4, lr="made")


# ---------------------------------------------------------------- loading


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
