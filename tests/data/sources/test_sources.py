"""Sources on disk: splits, names and error messages."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from picture_folders import names, write
from small import make_photographs

from facehall.data import FolderSource, ImageFile, PairedSource, SampleSource
from facehall.data.sources.base import SPLITS, limit_files, random_split
from facehall.data.sources.folders import files_below
from facehall.errors import FacehallError


def test_random_split_is_disjoint_complete_and_stable(tmp_path):
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
    every = [name for which in SPLITS for name in names(source, which)]
    assert len(set(every)) == 6  # each sub-folder has a 0.png, but names are unique
    assert names(source, "val") == ["val/0", "val/1"]


def test_a_missing_split_is_split_off_train(tmp_path):
    make_photographs(tmp_path / "train", 10)
    make_photographs(tmp_path / "val", 2)
    source = FolderSource(tmp_path, test_fraction=0.2)
    assert [len(source.split(which)) for which in SPLITS] == [8, 2, 2]
    assert not set(names(source, "train")) & set(names(source, "test"))


@pytest.mark.parametrize("there", [["test"], ["val"], ["val", "test"]])
def test_pictures_of_a_val_or_test_folder_are_never_trained_on(tmp_path, there):
    """Without a train folder, the whole tree would be split, including val and test."""
    make_photographs(tmp_path / "people", 6)
    for which in there:
        make_photographs(tmp_path / which, 3)
    source = FolderSource(tmp_path)
    assert [len(source.split(which)) for which in there] == [3] * len(there)
    with pytest.raises(
        FacehallError, match=rf"{tmp_path} has {' and '.join(there)}, but neither train nor a train folder"
    ):
        source.split("train")


def test_an_empty_split_folder_stops_that_split_only(tmp_path):
    make_photographs(tmp_path / "train", 10)
    (tmp_path / "test").mkdir()
    source = FolderSource(tmp_path)
    assert [len(source.split(which)) for which in ("train", "val")] == [9, 1]
    with pytest.raises(FacehallError, match=r"test is empty: add pictures, or remove it to split test off train"):
        source.split("test")


def test_all_pictures_can_be_test_pictures(photographs):
    source = FolderSource(photographs, val_fraction=0, test_fraction=1)
    assert len(source.split("test")) == 6
    with pytest.raises(FacehallError, match=r"has no train images when split with .*data\.test_fraction=1"):
        source.split("train")


def test_a_fraction_of_one_ignores_sub_folders(tmp_path):
    for which, count in (("train", 3), ("test", 1), ("other", 2)):
        make_photographs(tmp_path / which, count)
    source = FolderSource(tmp_path, val_fraction=0, test_fraction=1)
    assert names(source, "test") == ["other/0", "other/1", "test/0", "train/0", "train/1", "train/2"]


def test_limits_choose_by_name(tmp_path):
    make_photographs(tmp_path, 10)
    chosen = names(FolderSource(tmp_path, 0, 1, test_limit=5), "test")
    assert chosen == sorted(chosen)
    assert len(chosen) == 5
    (tmp_path / f"{chosen[0]}.png").unlink()
    assert len(set(names(FolderSource(tmp_path, 0, 1, test_limit=5), "test")) & set(chosen)) == 4
    assert chosen != names(FolderSource(tmp_path, 0, 1, test_limit=5, seed=1), "test")


def test_equal_stems_keep_their_suffix(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        write(tmp_path / name)
    assert names(FolderSource(tmp_path, 0, 1), "test") == ["a.jpg", "a.png", "b"]


@settings(max_examples=30)
@given(
    st.sets(
        st.tuples(st.sampled_from(["a", "b/a", "a.png", "A b", "x.y"]), st.sampled_from([".png", ".jpg", ".PNG"])),
        min_size=1,
    )
)
def test_names_are_always_unique(files):
    with tempfile.TemporaryDirectory() as root:
        for stem, suffix in files:
            path = Path(root, stem + suffix)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        assert len({file.name for file in files_below(Path(root))}) == len(files)


@given(
    count=st.integers(1, 40),
    val=st.floats(0, 1),
    test=st.floats(0, 1),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_any_split_is_disjoint_complete_and_independent_of_file_order(count, val, test, seed, data):
    assume(val + test <= 1)
    files = [ImageFile(str(i), Path(f"{i}.png")) for i in range(count)]
    if (val > 0) + (test > 0) > count:
        with pytest.raises(FacehallError, match="too few"):
            random_split(files, val, test, seed)
        return
    try:
        dealt = random_split(files, val, test, seed)
    except FacehallError:
        assert test  # val already took everything
        assert round(val * count) == count
        return
    assert sorted(file.name for part in dealt.values() for file in part) == sorted(file.name for file in files)
    assert abs(len(dealt["val"]) - val * count) <= 1
    assert abs(len(dealt["test"]) - test * count) <= 1
    assert bool(dealt["val"]) == bool(val)
    assert bool(dealt["test"]) == bool(test)
    assert random_split(data.draw(st.permutations(files)), val, test, seed) == dealt


@given(
    count=st.integers(2, 60),
    val=st.floats(0, 1),
    test=st.floats(0, 1),
    seed=st.integers(0, 9),
    limit=st.integers(1, 8),
)
def test_adding_a_picture_moves_at_most_one_across_a_boundary(count, val, test, seed, limit):
    assume(val + test <= 1)
    files = [ImageFile(f"{seed} {i}", Path(f"{i}.png")) for i in range(count + 1)]
    try:
        before, after = (random_split(some, val, test, seed) for some in (files[:-1], files))
    except FacehallError:
        assume(False)
    homes = [{file.name: which for which, part in dealt.items() for file in part} for dealt in (before, after)]
    moves = [frozenset((homes[0][name], homes[1][name])) for name in homes[0] if homes[0][name] != homes[1][name]]
    assert len(moves) == len(set(moves)) <= 2
    assert frozenset(("val", "test")) not in moves or not before["train"] or not after["train"]
    for which in ("val", "test"):
        chosen = [{file.name for file in limit_files(dealt[which], limit, seed)} for dealt in (before, after)]
        assert len(chosen[0] - chosen[1]) <= 1


def test_undecodable_file_names_can_be_split():
    files = [ImageFile(os.fsdecode(name), Path("x.png")) for name in (b"\xff", b"\xfe", b"a")]
    assert {file.name for part in random_split(files, 0.3, 0.3, 0).values() for file in part} == {f.name for f in files}


def test_adding_or_removing_pictures_keeps_the_other_splits(tmp_path):
    """The same with files on disk, adding and removing."""
    make_photographs(tmp_path, 40)
    before = {which: set(names(FolderSource(tmp_path, 0.2, 0.2), which)) for which in SPLITS}
    write(tmp_path / "one more.png")
    after = {which: set(names(FolderSource(tmp_path, 0.2, 0.2), which)) for which in SPLITS}
    assert all(len(before[which] - after[which]) <= 1 for which in ("val", "test"))
    assert len(before["train"] - after["train"]) <= 2
    (tmp_path / "one more.png").unlink()
    assert {which: set(names(FolderSource(tmp_path, 0.2, 0.2), which)) for which in SPLITS} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_fraction": -0.1}, "must not be negative"),
        ({"val_fraction": 0.6, "test_fraction": 0.6}, "must sum to at most 1"),
        ({"val_fraction": float("nan")}, "val_fraction=nan"),
        ({"val_limit": 0}, r"data\.val_limit=0: set a number"),
        ({"test_limit": -1}, r"data\.test_limit=-1"),
        ({"val_fraction": 0.0}, r"has no val images when split with .*val_fraction=0\.0"),
    ],
)
def test_invalid_splits_are_rejected(photographs, options, message):
    with pytest.raises(FacehallError, match=message):
        FolderSource(photographs, **options).split("val")


def test_an_odd_number_of_pictures_can_be_halved(tmp_path):
    make_photographs(tmp_path, 3)
    source = FolderSource(tmp_path, 0.5, 0.5)
    assert [len(source.split(which)) for which in ("val", "test")] == [2, 1]


def test_a_single_picture_cannot_be_split(tmp_path):
    make_photographs(tmp_path, 1)
    with pytest.raises(FacehallError, match="too few"):
        FolderSource(tmp_path).split("train")


def test_an_unknown_split_is_rejected(photographs):
    for source in (FolderSource(photographs), SampleSource()):
        with pytest.raises(FacehallError, match="split=dev: unknown split; expected train, val or test"):
            source.split("dev")


@pytest.mark.parametrize("source", [FolderSource, PairedSource])
def test_a_missing_folder_is_named(tmp_path, source):
    with pytest.raises(FacehallError, match="nowhere"):
        source(tmp_path / "nowhere").split("train")
