"""Benchmark sets in common layouts, and reproduction of published figures."""

import os
from pathlib import Path

import numpy as np
import pytest
from picture_folders import write
from PIL import Image
from scipy.io import loadmat
from small import write_weights

from facehall.data import BenchmarkSource, BicubicDegradation, load_pair
from facehall.data.patches.pairs import check_pairs
from facehall.errors import FacehallError
from facehall.evaluate import evaluate
from facehall.imaging import (
    downscale_bicubic,
    quantize,
    read_picture,
    rgb_to_y,
    to_tensor,
    upscale_bicubic,
)
from facehall.metrics import Protocol, bicubic_sr

SHARED = os.environ.get("FACEHALL_SHARED")
BENCHMARKS = Path(SHARED or "") / "data" / "benchmark"

LAYOUTS = {
    "HR": ("HR/a.png", "LR_x4/a.png"),
    "HR with LR of EDSR": ("HR/a.png", "LR_bicubic/X4/ax4.png"),
    "below a folder of sets": ("Set5/HR/a.png", "Set5/LR_x4/a.png"),
    "in small letters": ("set5/original/a.png", "set5/LR_bicubic/X4/ax4.png"),
    "BasicSR": ("GTmod12/a.png", "LRbicx4/a.png"),
    "SelfExSR": ("image_SRF_4/a_SRF_4_HR.png", "image_SRF_4/a_SRF_4_LR.png"),
    "side by side": ("a_HR.png", "a_LR.png"),
    "nothing but pictures": ("a.png", "LR_x4/ax4.png"),
    "another suffix": ("HR/a.webp", "LR_x4/a.png"),
}


def lay_out(root, layout, names=("a", "b")):
    """Write HR of 32x32 and LR of 8x8 pixels, plus files that must be ignored."""
    for name in names:
        for path, side in zip(LAYOUTS[layout], (32, 8), strict=True):
            folder, _, file = path.rpartition("/")
            write(root / folder / file.replace("a", name, 1), side, side)
    write(root / "image_SRF_2" / "a_SRF_2_HR.png", 16, 16)
    write(root / "LR_x2" / "a.png", 16, 16)
    return root


def source(root, lr="make", count=2, scale=4):
    return BenchmarkSource(root, "Set5", scale, count, lr)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(tmp_path, layout):
    lay_out(tmp_path, layout)
    made, official = (source(tmp_path, lr).split("test") for lr in ("make", "official"))
    assert [file.name for file in made] == [file.name for file in official] == ["a", "b"]
    assert [file.hr for file in made] == [file.hr for file in official]
    assert all(file.lr is None for file in made)
    for file in official:
        lr, hr = load_pair(file, 4, BicubicDegradation())
        assert (lr.shape, hr.shape) == ((8, 8, 3), (32, 32, 3))


def test_a_set_has_a_test_split_only(tmp_path):
    for which in ("train", "val"):
        with pytest.raises(FacehallError, match=rf"Set5 is a test set and has no {which} images"):
            source(lay_out(tmp_path, "HR")).split(which)


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("HR", {"count": 5}, r"HR holds 2 HR image\(s\), but Set5 has 5\..*data\.count=null"),
        ("SelfExSR", {"scale": 3}, r"holds 0 HR image\(s\), but Set5 has 2\. Searched: image_SRF_3, HR"),
        (
            "HR",
            {"scale": 3, "lr": "official"},
            r"no LR images for x3\. Searched: LR_x3, .*data\.lr=make",
        ),
        ("nothing but pictures", {"scale": 3, "lr": "official"}, "no LR images for x3"),
        ("HR", {"lr": "mak"}, r"data\.lr=mak: expected make or official"),
    ],
)
def test_missing_images_are_named(tmp_path, layout, options, message):
    lay_out(tmp_path, layout)
    with pytest.raises(FacehallError, match=message):
        source(tmp_path, **options).split("test")


def test_unmatched_files_are_named(tmp_path):
    lay_out(tmp_path, "HR")
    (tmp_path / "LR_x4" / "b.png").unlink()
    with pytest.raises(FacehallError, match=r"HR/b\.png has no partner: .*LR_x4/b\.png is missing"):
        check_pairs(source(tmp_path, "official").split("test"))
    write(tmp_path / "HR" / "b.webp")
    with pytest.raises(FacehallError, match=r"b\.png and .*b\.webp both name b of Set5: remove one"):
        source(tmp_path).split("test")
    with pytest.raises(FacehallError, match="nowhere does not exist"):
        source(tmp_path / "nowhere").split("test")


def test_a_set_is_evaluated_with_a_grey_picture_in_it(compose_config, tmp_path):
    lay_out(tmp_path / "sets", "below a folder of sets", "abcd")
    for folder, side in (("HR", 32), ("LR_x4", 8)):
        levels = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / "sets" / "Set5" / folder / "grey.png")
    weights = write_weights(tmp_path / "w.safetensors", scale=4)
    base = [f"weights={weights}", "metrics.lpips=none", "repeats=1", "sheet=0", "data=set5"]
    where = f"data.root={tmp_path / 'sets'}"
    for lr in ("make", "official"):
        overrides = [*base, where, f"data.lr={lr}", f"output={tmp_path / lr}"]
        images = evaluate(compose_config("evaluate", *overrides)).images
        assert [image.name for image in images] == ["a", "b", "c", "d", "grey"]
        assert images[-1].measures["model"]["psnr"] == images[-1].measures["model"]["psnr_y"]
    assert (tmp_path / "make" / "table.csv").read_text() != (tmp_path / "official" / "table.csv").read_text()


needs_benchmarks = pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the benchmarks")


def bicubic_measures(name, count, scale):
    """Return (PSNR, SSIM) of the Y channel for each image."""
    rows = []
    for file in BenchmarkSource(BENCHMARKS, name, scale, count).split("test"):
        lr, hr = (to_tensor(image)[None] for image in load_pair(file, scale, BicubicDegradation()))
        values = Protocol(scale).measure(bicubic_sr(lr, scale), hr, grey=read_picture(file.hr).grey)
        rows.append((values["psnr_y"].item(), values["ssim_y"].item()))
    return np.array(rows)


@needs_benchmarks
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14)])
def test_bicubic_means_match_the_published_ones(name, count, scale):
    """Compare with the per-image tables that Huang et al. (2015) published with SelfExSR, bicubic column."""
    tables = loadmat(BENCHMARKS / "published_tables_mat" / f"{name}_SRF_{scale}.mat")
    published = np.stack([tables["PSNR_table"][:, 0], tables["SSIM_table"][:, 0]], axis=1)
    difference = np.abs(bicubic_measures(name, count, scale).mean(axis=0) - published.mean(axis=0))
    assert difference[0] < 0.01
    assert difference[1] < 0.0005


@needs_benchmarks
@pytest.mark.parametrize(
    ("scale", "decibels", "similarity"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_y_channel_bicubic_matches_the_literature(scale, decibels, similarity):
    """Since SRCNN, many papers downscale the Y channel alone and do not round LR to 8 bits, unlike any image file.

    This alone explains the difference between their figures and the protocol's, not resampling or measuring.
    """
    rows = []
    for file in BenchmarkSource(BENCHMARKS, "Set5", scale, 5).split("test"):
        hr = quantize(rgb_to_y(to_tensor(load_pair(file, scale, BicubicDegradation())[1])[None]))
        values = Protocol(scale).measure(quantize(upscale_bicubic(downscale_bicubic(hr, scale), scale)), hr)
        rows.append((values["psnr_y"].item(), values["ssim_y"].item()))
    assert np.mean(rows, axis=0) == pytest.approx([decibels, similarity], abs=0.005)
    assert np.mean(rows, axis=0)[1] == pytest.approx(similarity, abs=0.00005)
