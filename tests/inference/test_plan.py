"""Planning of output files: names are kept, conflicts are rejected, results are not used as input."""

from pathlib import Path

import numpy as np
import pytest

from facehall.errors import FacehallError
from facehall.imaging import IMAGE_SUFFIXES, WRITABLE, read_rgb, write_picture
from facehall.inference import plan
from facehall.inference.plan import find_pictures


@pytest.fixture
def folder(tmp_path):
    """A function that creates empty files below tmp_path/in; planning does not open them."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "in"

    return make


def targets(jobs, root):
    return [job.target.relative_to(root).as_posix() for job in jobs]


def test_names_and_sub_folders_are_kept(folder, tmp_path):
    source = folder("b.png", "sub/deep/a.JPG", "sub/c d (1),=.webp", "notes.txt")
    jobs = plan(source, tmp_path / "out")
    assert targets(jobs, tmp_path / "out") == ["b.png", "sub/c d (1),=.webp", "sub/deep/a.JPG"]
    assert not any(job.changes_format for job in jobs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", sorted({*IMAGE_SUFFIXES, ".gif", ""}))
def test_formats_that_cannot_be_written_become_png(folder, tmp_path, suffix):
    source = folder(f"a{suffix}") / f"a{suffix}"
    (job,) = plan(source, tmp_path / "out")
    assert job.target == tmp_path / "out" / (f"a{suffix}" if suffix in WRITABLE else "a.png")
    assert job.changes_format == (suffix not in WRITABLE)
    write_picture(job.target, np.zeros((2, 2, 3), np.uint8))  # the formats must match those of write_picture
    assert read_rgb(job.target).shape == (2, 2, 3)


@pytest.mark.parametrize("names", [("a.bmp", "a.png"), ("a.tif", "a.bmp"), ("x/a.ppm", "x/a.png")])
def test_two_inputs_with_the_same_output_are_rejected(folder, tmp_path, names):
    with pytest.raises(FacehallError, match=r"would both be written to .*a\.png.*Rename") as error:
        plan(folder(*names), tmp_path / "out")
    assert all(Path(name).name in str(error.value) for name in names)


def test_same_stem_with_different_formats_is_no_conflict(folder, tmp_path):
    assert len(plan(folder("a.png", "a.jpg", "b/a.png"), tmp_path / "out")) == 3


def test_results_below_the_input_folder_are_excluded(folder):
    source = folder("a.png", "out/a.png", "out/out/a.png")
    jobs = plan(source, source / "out")
    assert [job.source.relative_to(source).as_posix() for job in jobs] == ["a.png"]
    assert targets(jobs, source) == ["out/a.png"]


def test_links_to_other_folders_are_followed(folder, tmp_path):
    source = folder("a.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.png").touch()
    (source / "link").symlink_to(tmp_path / "other")
    assert len(plan(source, tmp_path / "out")) == 2


@pytest.mark.parametrize("output", ["in", "in/../in", "in/."])
def test_output_in_the_input_folder_is_rejected(folder, tmp_path, output):
    source = folder("a.png")
    for given in (source, source / "a.png"):
        with pytest.raises(FacehallError, match="is the input folder: the inputs would be overwritten"):
            plan(given, tmp_path / output)


def test_an_output_that_is_an_input_is_rejected(folder):
    source = folder("a/a/x.png", "a/x.png")
    with pytest.raises(FacehallError, match="one of the inputs"):
        plan(source / "a", source)


def test_input_below_the_output_is_rejected(folder, tmp_path):
    with pytest.raises(FacehallError, match="which is excluded from the input"):
        plan(folder("out/a.png"), tmp_path / "in" / "out")


def test_missing_input_and_output_that_is_a_file(folder, tmp_path):
    with pytest.raises(FacehallError, match=r"input=.*nowhere: no such file or folder"):
        plan(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(FacehallError, match=r"output=.*a\.png is a file"):
        plan(folder("a.png", "b.png"), tmp_path / "in" / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FacehallError, match="contains no images"):
        plan(tmp_path / "empty", tmp_path / "out")


def test_results_beside_their_inputs_are_excluded(folder):
    source = folder("a.png", "a_x4.png", "a_x4.compare.png", "b.bmp", "sub/c.JPG")
    jobs = plan(source, None, suffix="_x4")
    assert [job.source.name for job in jobs] == ["a.png", "b.bmp", "c.JPG"]
    assert targets(jobs, source) == ["a_x4.png", "b_x4.png", "sub/c_x4.JPG"]
    with pytest.raises(FacehallError, match="one of the inputs"):
        plan(source, None)


def test_the_output_of_a_single_picture_may_be_a_file(folder, tmp_path):
    source = folder("a.png", "b.png")
    (job,) = plan(source / "a.png", tmp_path / "large.jpg")
    assert job.target == tmp_path / "large.jpg"
    for given, kind, says in ((source, "same", "a folder for 2 pictures"), (source / "a.png", "png", "contradict")):
        with pytest.raises(FacehallError, match=says):
            plan(given, tmp_path / "large.jpg", kind=kind)
    with pytest.raises(FacehallError, match="cannot be written"):
        plan(source / "a.png", tmp_path / "large.tif")


def test_format_and_suffix(folder, tmp_path):
    source = folder("a.png", "b.jpeg", "c.tif")
    assert targets(plan(source, tmp_path, suffix="_big", kind="webp"), tmp_path) == [
        "a_big.webp",
        "b_big.webp",
        "c_big.webp",
    ]
    assert targets(plan(source, tmp_path, kind="jpg"), tmp_path) == ["a.jpg", "b.jpeg", "c.jpg"]
    for wrong in ({"kind": "gif"}, {"suffix": "/x"}):
        with pytest.raises(FacehallError, match=r"(format|suffix)="):
            plan(source, tmp_path, **wrong)


def test_patterns_files_and_folders_without_duplicates(folder):
    source = folder("a.png", "b.png", "notes.txt", "sub/c.png")
    found = find_pictures([source / "*", source / "a.png", source / "sub"])
    assert [picture.file.name for picture in found] == ["a.png", "b.png", "c.png"]
    assert [picture.file.name for picture in find_pictures(source, recursive=False)] == ["a.png", "b.png"]
    assert len(find_pictures(source / "**" / "*.png")) == 3
    with pytest.raises(FacehallError, match="No picture matches"):
        find_pictures(source / "x*.png")
