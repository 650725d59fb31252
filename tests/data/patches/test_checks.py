"""Data check before training: one report of problems, duplicates and conversions."""

import dataclasses
import io
import os
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from small import make_photographs

from facehall.data import BicubicDegradation, DiskStore, FolderSource, MemoryStore, Mining, PairedSource, Pairs
from facehall.data.patches import checks
from facehall.data.patches.checks import fingerprint, survey
from facehall.data.sources.base import SPLITS
from facehall.errors import FacehallError
from facehall.imaging import write_picture


def check(source, store=None, policy="skip", scale=2, patch_size=8):
    pairs = Pairs(scale, BicubicDegradation(), store or MemoryStore())
    return survey(source, pairs, Mining(), patch_size, policy)


def natural(seed, side=96):
    """Return noise with a 1/f amplitude spectrum, like photographs."""
    spectrum = np.fft.fft2(np.random.default_rng(seed).normal(size=(3, side, side)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    image = np.fft.ifft2(spectrum / (frequency + 1 / side)).real.transpose(1, 2, 0)
    return np.clip(128 + 45 * image / image.std(), 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, which in enumerate(SPLITS):
        for j in range(3):
            write_picture(tmp_path / which / f"{j}.png", natural(10 * i + j, side=48))
    return tmp_path


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def picture(seed=0, side=48, mode="RGB"):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).convert(mode)


def thirty_broken_files(train):
    """Write unusable files, each different; return the expected message for each name."""
    png, jpeg = io.BytesIO(), io.BytesIO()
    picture(1, 96).save(png, "PNG")
    picture(1, 96).save(jpeg, "JPEG")
    png, jpeg = png.getvalue(), jpeg.getvalue()
    broken = {"empty.png": (b"", "is empty"), "empty.jpg": (b"", "is empty")}
    for name in ("text.png", "text.jpg", "text.webp", "text.bmp", "text.tif"):
        broken[name] = (b"These are not pixels.", "not an image in any format")
    broken["page.png"] = (b"<!doctype html><title>404</title>", "not an image")
    broken["zip.png"] = (b"PK\x03\x04" + bytes(60), "not an image")
    broken["zeros.jpg"] = (bytes(4096), "not an image")
    for i, share in enumerate((0.2, 0.4, 0.6, 0.8, 0.95)):
        broken[f"half{i}.png"] = (png[: int(share * len(png))], "cannot be read")
        broken[f"half{i}.jpg"] = (jpeg[: int(share * len(jpeg))], "cannot be read|not an image")
    for i, (width, height) in enumerate(((15, 48), (48, 15), (1, 1), (8, 8), (15, 15))):
        small = io.BytesIO()
        picture().resize((width, height)).save(small, "PNG")
        broken[f"small{i}.png"] = (small.getvalue(), "pixels are too few for")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 255
    broken["flipped.png"] = (bytes(flipped), "cannot be read")
    broken["header.png"] = (
        png[:16] + b"\xff\xff\xff\xff" * 2 + png[24:],
        "cannot be read|too many pixels|not an image",
    )
    broken["bomb.png"] = (
        png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:],
        "cannot be read|too many pixels|not an image",
    )
    broken["cut.png"] = (png[:8], "cannot be read|not an image")
    broken["head.jpg"] = (jpeg[:2], "cannot be read|not an image")
    for name, (content, _) in broken.items():
        (train / name).write_bytes(content)
    return {name: reason for name, (_, reason) in broken.items()}


def test_thirty_broken_files_are_one_report_that_names_each(folder):
    broken = thirty_broken_files(folder / "train")
    assert len(broken) == 30
    with pytest.raises(FacehallError) as error:
        check(FolderSource(folder), policy="strict")
    first, *lines = str(error.value).splitlines()
    assert first == "30 of 39 pictures cannot be used:"
    for name, reason in broken.items():
        (line,) = [line for line in lines if f"/{name}" in line]
        assert re.search(reason, line), line
    assert "patches.checks=skip" in lines[-1]


def test_they_can_be_skipped(folder):
    thirty_broken_files(folder / "train")
    found = check(FolderSource(folder))
    assert [len(found.files[which]) for which in SPLITS] == [3, 3, 3]
    assert len(found.problems) == 30


def test_workers_find_the_same(folder):
    thirty_broken_files(folder / "train")
    expected = check(FolderSource(folder))
    make_photographs(folder / "test", 40, side=48, seed=9)  # enough for several workers
    assert check(FolderSource(folder)).problems == expected.problems


def test_no_usable_picture_is_an_error(folder):
    for path in (folder / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(FacehallError, match=r"3 of 9 pictures cannot be used:(.|\n)*No usable train picture is left"):
        check(FolderSource(folder))


def test_a_pair_that_does_not_fit_is_a_problem(tmp_path):
    for which in ("train", "val", "test"):
        for i in range(2):
            save(tmp_path / which / "HR" / f"{i}.png", picture(10 * len(which) + i, 32))
            save(tmp_path / which / "LR" / f"{i}.png", picture(i, 16 if which != "train" or i else 15))
    found = check(PairedSource(tmp_path))
    assert [file.name for file in found.files["train"]] == ["train/1"]
    assert "train/LR/0.png has 15x15 pixels" in found.problems[0]


def test_files_without_a_partner_are_problems(tmp_path):
    for which in SPLITS:
        for i in range(3):
            save(tmp_path / which / "HR" / f"{i}.png", picture(10 * len(which) + i, 32))
            save(tmp_path / which / "LR" / f"{i}.png", picture(i, 16))
    (tmp_path / "train" / "HR" / "0.png").unlink()
    (tmp_path / "val" / "LR" / "1.png").unlink()
    found = check(PairedSource(tmp_path))
    assert [len(found.files[which]) for which in SPLITS] == [2, 2, 3]
    assert "train/LR/0.png has no partner" in found.problems[0]
    assert "val/HR/1.png has no partner" in found.problems[1]


@pytest.mark.parametrize("which", ["val", "test"])
def test_a_train_picture_in_val_or_test_is_a_problem(folder, which):
    (original, *_) = sorted((folder / which).iterdir())
    Image.open(original).resize((40, 40)).save(folder / "train" / "copy.jpg", quality=60)
    found = check(FolderSource(folder))
    assert [file.name for file in found.files["train"]] == ["train/0", "train/1", "train/2"]
    assert f"copy.jpg in train is a near-duplicate of {original} in {which}" in found.problems[0]


def test_conversions_are_reported(folder):
    train = folder / "train"
    save(train / "deep.png", Image.fromarray(np.arange(48 * 48, dtype=np.uint16).reshape(48, 48) * 20))
    cv2.imwrite(str(train / "deep_colour.png"), np.random.default_rng(0).integers(0, 65536, (48, 48, 3), np.uint16))
    save(train / "print.jpg", picture(21, mode="CMYK"))
    save(train / "palette.png", picture(22, mode="P"))
    save(train / "clear.png", picture(23, mode="RGBA"))
    turned = Image.Exif()
    turned[0x0112] = 6
    save(train / "turned.jpg", picture(24), exif=turned)
    save(train / "moving.webp", picture(25), save_all=True, append_images=[picture(26)])
    report = check(FolderSource(folder), policy="strict").report()
    for line in (
        "2 with 16 bits per channel, reduced to 8: deep.png, deep_colour.png",
        "1 with CMYK, converted to RGB: print.jpg",
        "1 with a palette, converted to RGB: palette.png",
        "1 with transparency, dropped: clear.png",
        "1 with an EXIF orientation, applied: turned.jpg",
        "1 with several frames, only the first is used: moving.webp",
    ):
        assert line in report.splitlines()


def test_ordinary_pictures_give_an_empty_report(folder):
    assert check(FolderSource(folder), policy="strict").report() == ""


def test_the_second_check_decodes_nothing(folder, tmp_path, monkeypatch):
    store = tmp_path / "store"
    first = check(FolderSource(folder), DiskStore(store))
    for path in folder.glob("*/*.png"):  # decoding again would fail
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = check(FolderSource(folder), DiskStore(store))
    assert (second.files, second.problems) == (first.files, [])


def test_a_full_store_is_reported(folder, tmp_path):
    found = check(FolderSource(folder), DiskStore(tmp_path / "store", max_gb=0))
    assert (
        "not stored decoded, which slows loading down: the pictures of this run exceed store.max_gb=0" in found.report()
    )


def distance(a, b):
    return int((fingerprint(a) != fingerprint(b)).sum())


def test_fingerprints_survive_common_edits_and_distinguish_pictures():
    pictures = [natural(seed) for seed in range(12)]
    for image in pictures:
        jpeg = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
        assert distance(image, jpeg) <= 32
        assert distance(image, cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)) <= 32
        assert distance(image, np.clip(image * 1.1 + 5, 0, 255).astype(np.uint8)) <= 32
    assert min(distance(a, b) for i, a in enumerate(pictures) for b in pictures[:i]) > 40


def shapes_fingerprinted(monkeypatch, source, store):
    seen = []

    def spy(picture):
        seen.append(picture.shape[:2])
        return fingerprint(picture)

    monkeypatch.setattr(checks, "fingerprint", spy)
    check(source, store)
    return seen


def test_facts_depend_on_the_size(folder, tmp_path, monkeypatch):
    """The fingerprint is computed at `data.size`, so a change of size recomputes it."""
    store = DiskStore(tmp_path / "store")
    whole, reduced = FolderSource(folder), SizedSource(FolderSource(folder), 24)
    assert set(shapes_fingerprinted(monkeypatch, whole, store)) == {(48, 48)}
    assert set(shapes_fingerprinted(monkeypatch, reduced, store)) == {(24, 24)}
    assert shapes_fingerprinted(monkeypatch, reduced, store) == []


@pytest.mark.parametrize("version", ["FACTS_VERSION", "ARRAYS_VERSION"])
def test_facts_of_another_version_are_recomputed(folder, tmp_path, monkeypatch, version):
    store, source = DiskStore(tmp_path / "store"), FolderSource(folder)
    first = shapes_fingerprinted(monkeypatch, source, store)
    monkeypatch.setattr(checks, version, "a later one")
    assert shapes_fingerprinted(monkeypatch, source, store) == first


class SizedSource:
    """The pictures of another source, reduced."""

    def __init__(self, source, size):
        self.source, self.size = source, size

    def split(self, which):
        return [dataclasses.replace(file, size=self.size) for file in self.source.split(which)]
