"""The mine command: its output, resuming after interruptions, and errors."""

import csv
import json
import os
import resource
import shutil
import signal
import sys

import numpy as np
import pytest
from small import make_photographs, run_command

from facehall import mine as mine_module
from facehall.data import BicubicDegradation, Mining
from facehall.data.patches.picture_miner import PictureMiner, draw_corners
from facehall.data.sources.base import ImageFile
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic, quantize, read_rgb, to_tensor, to_uint8, write_picture
from facehall.mine import main

SMALL = ["scale=2", "patch_size=8", "patches_per_image=3", "workers=0"]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def mine(*overrides):
    return run_command(main, "data.root=photographs", "output=out", *SMALL, *overrides)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifest(folder):
    with (folder / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def test_png_pairs_and_manifest(photographs, tmp_path, capsys):
    assert mine() == 0
    out = tmp_path / "out"
    rows = manifest(out)
    assert "Stored 18 patches (12 train, 3 val, 3 test) from 6 pictures in out." in capsys.readouterr().out
    assert len(rows) == 18
    stored = {f"{row['split']}/{kind}/{row['name']}.png" for row in rows for kind in ("HR", "LR")}
    assert set(tree(out)) == stored | {"manifest.csv", "settings.json", "contact_sheet.png"}
    for row in rows:
        hr, lr = (read_rgb(out / row["split"] / kind / f"{row['name']}.png") for kind in ("HR", "LR"))
        top, left, size = (int(row[key]) for key in ("top", "left", "size"))
        picture = to_tensor(read_rgb(row["source"]))
        assert (size, row["scale"], row["name"][:-2]) == (8, "2", row["source"].split("/")[-1][:-4])
        whole = to_uint8(quantize(downscale_bicubic(picture, 2)))
        assert np.array_equal(lr, whole[top : top + 8, left : left + 8])
        assert np.array_equal(hr, to_uint8(picture)[2 * top : 2 * top + 16, 2 * left : 2 * left + 16])
        assert float(row["flatness"]) == pytest.approx((lr / 255).std(), abs=1e-5)
    assert len({(row["source"], row["top"], row["left"]) for row in rows}) == 18


def test_workers_and_other_pictures_do_not_matter(photographs, tmp_path):
    assert mine("data.test_fraction=0", "data.val_fraction=0", "splits=[train]") == 0
    assert mine("data.test_fraction=0", "data.val_fraction=0", "splits=[train]", "workers=2", "output=two") == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "two")
    (photographs / "3.png").unlink()
    assert mine("data.test_fraction=0", "data.val_fraction=0", "splits=[train]", "output=fewer") == 0
    kept = [row for row in manifest(tmp_path / "out") if row["name"][0] != "3"]
    assert manifest(tmp_path / "fewer") == kept
    assert mine("data.test_fraction=0", "data.val_fraction=0", "splits=[train]", "seed=2", "output=other") == 0
    assert manifest(tmp_path / "other") != kept


KILLED = """
import os, signal
from pathlib import Path
from facehall.data.patches.picture_miner import PictureMiner
from facehall.mine import main

plain = PictureMiner.__getitem__

def mined(self, index):
    result = plain(self, index)
    if len(list(Path("out/.results").rglob("*.json"))) >= 5:
        os.killpg(0, signal.SIGKILL)
    return result

PictureMiner.__getitem__ = mined
main()
"""


def test_a_killed_run_resumes_with_the_same_result(preloaded, tmp_path):
    """One worker kills all processes while the other is working."""
    make_photographs(tmp_path / "photographs", 30)
    more = ["patches_per_image=20"]
    assert mine(*more, "output=whole") == 0
    command = [sys.executable, "-c", KILLED, "data.root=photographs", "output=out", *SMALL, *more, "workers=2"]
    results = tmp_path / "out" / ".results"
    done = preloaded.run(command, timeout=240, start_new_session=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert 5 <= len(list(results.rglob("*.json"))) < 30
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert mine(*more) == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("left", ["settings", "pairs", "results", "sheet", "manifest"])
def test_leftovers_of_an_interruption_are_removed(photographs, tmp_path, left):
    """Every file that a kill can leave incomplete, under its temporary name."""
    assert mine("output=whole") == 0
    out = tmp_path / "out"
    part = f".{{}}.{os.getpid()}-0123abcd.part"
    (out / ".results" / "train").mkdir(parents=True)
    (out / ".lock").touch()
    if left != "settings":
        shutil.copy(tmp_path / "whole" / "settings.json", out)
    name = {"settings": "settings.json", "sheet": "contact_sheet.png", "manifest": "manifest.csv"}.get(left, "0_0.png")
    if left == "results":
        (out / ".results" / "train" / part.format("abc.json")).write_text("[")
    elif left == "pairs":
        for kind in ("HR", "LR"):
            (out / "train" / kind).mkdir(parents=True)
            (out / "train" / kind / part.format(name)).write_bytes(b"half")
        (out / "train" / "LR" / "gone_0.png").write_bytes(b"of a picture that was removed since")
    else:
        (out / part.format(name)).write_bytes(b"half")
    assert mine() == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_complete_output_is_left_alone(photographs, tmp_path, capsys):
    assert mine() == 0
    before = tree(tmp_path / "out")
    shutil.rmtree(photographs)
    assert mine() == 0
    assert "out is already complete: 18 patches" in capsys.readouterr().out
    assert tree(tmp_path / "out") == before


def test_different_settings_are_rejected_and_named(photographs, tmp_path, capsys):
    assert mine("mining.threshold=0.05") == 0
    assert mine("mining.threshold=0.1", "patch_size=4") == 2
    stderr = capsys.readouterr().err
    assert "out was started with different settings: mining.threshold was 0.05 and is 0.1, patch_size was 8" in stderr


def test_an_error_leaves_no_output_and_can_be_fixed(photographs, tmp_path, capsys):
    for mistake in ("data.root=nowhere", "mining.threshold=2", "patch_size=0", "splits=[dev]", "format=jpg", "seed=-1"):
        assert mine(mistake) == 2
        assert not (tmp_path / "out").exists(), mistake
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert mine() == 0


def test_a_folder_with_other_files_is_rejected(photographs, tmp_path, capsys):
    make_photographs(tmp_path / "others", 2)
    assert mine("output=others") == 2
    assert "others already holds 0.png: set output" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "others").iterdir()) == ["0.png", "1.png"]


@pytest.mark.parametrize("output", ["photographs", "photographs/patches"])
def test_output_inside_the_source_folder_is_rejected(photographs, output, capsys):
    """Otherwise the next command would list them as pictures."""
    assert mine(f"output={output}") == 2
    assert f"output={output} is inside data.root=photographs" in capsys.readouterr().err
    assert len(list(photographs.iterdir())) == 6


def test_unusable_pictures_are_listed_together(photographs, tmp_path, capsys):
    (photographs / "2.png").write_bytes(b"")
    write_picture(photographs / "5.png", np.zeros((12, 40, 3), np.uint8))
    assert mine() == 2
    stderr = capsys.readouterr().err
    assert "2 of 6 pictures cannot be used: " in stderr
    assert "2.png is empty" in stderr
    assert "5.png: 40x12 pixels are too few for 16x16" in stderr
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert mine("checks=skip") == 0
    assert "2 of 6 pictures cannot be used" in capsys.readouterr().err
    assert {row["name"][0] for row in manifest(tmp_path / "out")} == set("0134")


def test_a_fixed_picture_is_mined_by_the_same_command(photographs, tmp_path):
    whole = (photographs / "2.png").read_bytes()
    assert mine("output=whole") == 0
    (photographs / "2.png").write_bytes(whole[:100])
    assert mine() == 2
    (photographs / "2.png").write_bytes(whole)
    assert mine() == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_the_sheet_goes_from_flat_to_rough(photographs, tmp_path):
    assert mine("patches_per_image=20", "data.val_fraction=0", "data.test_fraction=0", "splits=[train]") == 0
    assert read_rgb(tmp_path / "out" / "contact_sheet.png").shape[1] > 8 * 128
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["patches_per_image"] == 20


class KillsItsProcess(BicubicDegradation):
    def __call__(self, hr, scale, recipe=None):
        os.kill(os.getpid(), signal.SIGKILL)


def miner(photographs, tmp_path, degradation=None, size=8):
    pictures = [("train", ImageFile(path.stem, path)) for path in sorted(photographs.iterdir())]
    tools = (Mining(), degradation or BicubicDegradation(), 1)
    return PictureMiner(pictures, tmp_path / "out", tmp_path / "results", 2, size, 3, *tools)


def test_a_killed_worker_is_an_error(photographs, tmp_path):
    with pytest.raises(FacehallError, match=r"A worker process was killed.*run the same command again to resume"):
        mine_module._run(miner(photographs, tmp_path, KillsItsProcess()), workers=2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_an_error(tmp_path, workers):
    folder = tmp_path / "noise"
    write_picture(folder / "a.png", np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))  # simulates a full disk
    try:
        with pytest.raises(
            FacehallError, match=r"0\.png cannot be written: File too large\. The stored patches are valid"
        ):
            mine_module._run(miner(folder, tmp_path, size=64), workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_corners_are_distinct_and_exhaustive():
    lr = np.random.default_rng(0).integers(0, 256, (10, 9, 3), dtype=np.uint8)
    corners = draw_corners(lr, 8, 100, Mining(), np.random.default_rng(0))
    assert {(corner.top, corner.left) for corner in corners} == {(i, j) for i in range(3) for j in range(2)}
    assert len(corners) == 6
    assert len(draw_corners(lr, 8, 4, Mining(), np.random.default_rng(0))) == 4


def test_a_group_shares_its_budget():
    """As in training: if every patch is too flat, the first patch of each group spends the whole budget."""
    lr = np.zeros((20, 20, 3), np.uint8)
    mining = Mining(threshold=0.1, max_threshold=0.5, max_rejections=2, group=3)
    corners = draw_corners(lr, 8, 7, mining, np.random.default_rng(0))
    assert [corner.rejections for corner in corners] == [6, 0, 0, 6, 0, 0, 6]


def test_a_picture_with_little_to_mine_gives_what_it_has():
    """All but one corner are flat and never accepted; the search for a second one terminates."""
    lr = np.zeros((20, 20, 3), np.uint8)
    lr[0, 0] = 255
    mining = Mining(threshold=0.05, max_threshold=0.5, max_rejections=10**6)
    corners = draw_corners(lr, 16, 20, mining, np.random.default_rng(0))
    assert [(corner.top, corner.left) for corner in corners] == [(0, 0)]
