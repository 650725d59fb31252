"""Face crops: centre crop, or a box for each picture."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from picture_folders import write
from PIL import Image

from facehall.config.build import build
from facehall.data import BicubicDegradation, FacesSource, load_pair
from facehall.data.patches.pairs import read_hr
from facehall.data.sources.base import SPLITS
from facehall.errors import FacehallError
from facehall.imaging import read_rgb

SHARED = os.environ.get("FACEHALL_SHARED")
EVERY = {"val_fraction": 0, "test_fraction": 1}


def pixels(file):
    return load_pair(file, 1, BicubicDegradation())[1]


def boxes(path, entries):
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_centre_crop(tmp_path):
    write(tmp_path / "a" / "even.png", 32, 24)
    write(tmp_path / "odd.png", 33, 20)
    even, odd = FacesSource(tmp_path, crop=16, **EVERY).split("test")
    assert (pixels(even) == read_rgb(even.hr)[4:20, 8:24]).all()
    assert (pixels(odd) == read_rgb(odd.hr)[2:18, 8:24]).all()
    assert [file.box for file in FacesSource(tmp_path, **EVERY).split("test")] == [None, None]


def test_centre_crop_respects_exif_orientation(tmp_path):
    """EXIF orientation 6: stored 40 wide and 20 high, shown 20 wide and 40 high."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    (file,) = FacesSource(tmp_path, crop=20, **EVERY).split("test")
    assert file.box == (0, 10, 20, 30)


def test_boxes_are_rounded_to_whole_pixels(tmp_path):
    write(tmp_path / "a" / "b.png", 32, 24)
    write(tmp_path / "c.png", 32, 24)
    entries = {"a/b.png": [1.4, 2.6, 12, 13.2], "c.png": [0, 0, 32, 24], "elsewhere.png": [1, 2, 3, 4]}
    source = FacesSource(tmp_path, boxes=boxes(tmp_path / "boxes.json", entries), **EVERY)
    assert [(file.name, file.box) for file in source.split("test")] == [("a/b", (1, 3, 12, 13)), ("c", (0, 0, 32, 24))]


def test_the_splits_are_those_of_the_folder(tmp_path):
    for which in ("train", "val"):
        for i in range(10):
            write(tmp_path / which / f"{i}.png")
    source = FacesSource(tmp_path, crop=8, test_fraction=0.2, val_limit=3)
    assert [len(source.split(which)) for which in SPLITS] == [8, 3, 2]
    assert all(file.box == (12, 12, 20, 20) for which in SPLITS for file in source.split(which))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 33}, r"a\.png has 32x24 pixels, too few for its box of 33x33 at \(-1, -5\): reduce the box"),
        ({"crop": 25}, r"a\.png has 32x24 pixels, too few for its box of 25x25"),
        ({"crop": 0}, r"data\.crop=0: set the side"),
        ({"crop": 8, "boxes": "x.json"}, r"data\.crop=8 and data\.boxes=x\.json are mutually exclusive"),
        ({"boxes": "nowhere.json"}, r"data\.boxes=nowhere\.json cannot be read: No such file"),
        ({"boxes": {"b.png": [0, 0, 1, 1]}}, r"a\.png has no box in .*boxes\.json: add 'a\.png', or remove"),
        ({"boxes": {"a.png": [0, 0, 32, 25]}}, r"a\.png has 32x24 pixels, too few for its box of 32x25"),
        ({"boxes": {"a.png": [0, -1, 32, 24]}}, r"its box of 32x25 at \(0, -1\)"),
        ({"boxes": {"a.png": [5, 5, 5, 6]}}, r"its box of 0x1"),
        ({"boxes": {"a.png": [0, 0, 1]}}, r"boxes\.json: \[0, 0, 1\] for 'a\.png' is not a box\. Expected one object"),
        ({"boxes": {"a.png": [0, 0, "1", 1]}}, r"is not a box"),
        ({"boxes": {"a.png": [0, 0, float("nan"), 1]}}, r"is not a box"),
        ({"boxes": {"a.png": 7}}, r"7 for 'a\.png' is not a box"),
        ({"boxes": [1]}, r"boxes\.json does not hold an object"),
    ],
)
def test_invalid_crops_and_boxes_are_named(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    write(Path("set") / "a.png", 32, 24)
    if not isinstance(options.get("boxes", ""), str):
        options = options | {"boxes": boxes(tmp_path / "boxes.json", options["boxes"])}
    with pytest.raises(FacehallError, match=message) as error:
        read_hr(FacesSource("set", **options, **EVERY).split("test")[0])
    assert "\n" not in str(error.value)


def test_a_boxes_file_that_is_not_json_is_named(tmp_path):
    (tmp_path / "boxes.csv").write_text("a.png,1,2,3,4\n")
    with pytest.raises(FacehallError, match=r"boxes\.csv is not JSON: .*Expected one object"):
        FacesSource(tmp_path, boxes=tmp_path / "boxes.csv")


def test_the_command_line_takes_them(compose_config, tmp_path):
    write(tmp_path / "a.png", 32, 24)
    overrides = ["data=faces", f"data.root={tmp_path}", "data.crop=16", "data.val_fraction=0", "data.test_fraction=1"]
    assert build(compose_config("evaluate", *overrides).data, "data").split("test")[0].box == (8, 4, 24, 20)


@pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the photographs")
def test_boxes_of_a_real_set_can_be_read(tmp_path):
    """Eye-aligned boxes of the London set, for photographs of 1350x1350."""
    path = Path(SHARED) / "data" / "faces" / "test" / "london512" / "crop_boxes.json"
    write(tmp_path / "001_03.jpg", 1350, 1350)
    (file,) = FacesSource(tmp_path, boxes=path, **EVERY).split("test")
    assert file.box == (245, 304, 1098, 1157)
