"""DIV2K (Agustsson & Timofte 2017), the paper's training set: splits and download."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from facehall.data.sources.archives import Archive, fetch
from facehall.data.sources.base import ImageFile, Split, check_limits, check_split, limit_files
from facehall.data.sources.folders import files_below, pair_up, paired_below
from facehall.errors import FacehallError

ORIGIN = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"

# Size in bytes and sha256, from TensorFlow Datasets: tensorflow_datasets/datasets/div2k/checksums.tsv.
PUBLISHED = {
    "DIV2K_train_HR.zip": (3530603713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"),
    "DIV2K_valid_HR.zip": (448993893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"),
    "DIV2K_train_LR_bicubic_X2.zip": (925390592, "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850"),
    "DIV2K_valid_LR_bicubic_X2.zip": (117763600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57"),
    "DIV2K_train_LR_bicubic_X3.zip": (427847282, "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a"),
    "DIV2K_valid_LR_bicubic_X3.zip": (54513392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3"),
    "DIV2K_train_LR_bicubic_X4.zip": (246914039, "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a"),
    "DIV2K_valid_LR_bicubic_X4.zip": (31505881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553"),
    "DIV2K_train_LR_x8.zip": (65753171, "706fa23164fa0756a3accb78e69b937ea47f882b47e13506895deefd623a35c2"),
    "DIV2K_valid_LR_x8.zip": (8428103, "3432f23da7c6887acc5e2cde9669427a7710b3b256c58912dddc19e3eda5bc69"),
}
OFFICIAL_SCALES = (2, 3, 4, 8)

Part = Literal["train", "valid"]
NUMBERS: dict[Part, range] = {"train": range(1, 801), "valid": range(801, 901)}


class Div2kSource:
    """DIV2K in the folder layout of its archives.

    Train is DIV2K_train_HR (800). DIV2K_valid_HR (100) is split into val (even numbers) and test (odd numbers); if
    there is a separate test set, val has all 100.

    Args:
        root: folder that holds, or will hold, DIV2K_train_HR and DIV2K_valid_HR.
        lr: ``make``: LR made by the degradation. ``official``: DIV2K_*_LR_bicubic/X{scale}, DIV2K_*_LR_x8 for x8.
        scale: scale of the official LR images.
        test_root: folder of test pictures; with official LR images it holds HR and LR with identical names. None uses
            DIV2K_test_HR if it exists.
        download: download missing pictures of a split when it is first requested; train also downloads val.
        origin: URL of the folder that holds the archives.
        keep_archives: keep archives after unpacking.
        val_limit, test_limit: maximum number of pictures, chosen by a hash of their names; None uses all.
    """

    def __init__(
        self,
        root: str | Path,
        scale: int,
        lr: Literal["make", "official"] = "make",
        test_root: str | Path | None = None,
        download: bool = False,
        origin: str = ORIGIN,
        keep_archives: bool = False,
        val_limit: int | None = None,
        test_limit: int | None = None,
    ) -> None:
        if lr not in ("make", "official"):
            raise FacehallError(f"data.lr={lr}: expected make or official.")
        if lr == "official" and scale not in OFFICIAL_SCALES:
            raise FacehallError(
                f"scale={scale}: DIV2K has official LR images for {', '.join(map(str, OFFICIAL_SCALES))}. For other "
                "scales set data.lr=make."
            )
        self.root = Path(root)
        self.scale = scale
        self.official = lr == "official"
        self.test_root = None if test_root is None else Path(test_root)
        self.download = download
        self.origin = origin
        self.keep_archives = keep_archives
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)
        self._fetched: set[Part] = set()

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        if self.test_root is not None and which == "test":
            return limit_files(self._test_pictures(self.test_root), self.limits["test"])
        own_test = (self.root / "DIV2K_test_HR").is_dir()
        if own_test and which == "test":
            return limit_files(self._pictures("test"), self.limits["test"])
        if self.download:
            self._fetch("train" if which == "train" else "valid")
        if which == "train":
            return self._pictures("train")
        files = self._pictures("valid")
        if not own_test and self.test_root is None:
            files = files[which == "val" :: 2]  # 0801, 0803, … test; 0802, 0804, … val
        return limit_files(files, self.limits[which])

    def fetch(self) -> str:
        """Download what is missing from train and valid, HR and, if official, LR; see `archives.fetch`."""
        self._fetch("train")
        folders = ", ".join(archive.folder for archive in self._archives("train", "valid"))
        return f"DIV2K is complete in {self.root}: {folders}."

    def _fetch(self, part: Part) -> None:
        # Training also validates, so check disk space and network for both parts before downloading train.
        parts: tuple[Part, ...] = ("train", "valid") if part == "train" else ("valid",)
        if not self._fetched.issuperset(parts):
            fetch(self._archives(*parts), self.root, self.origin, self.keep_archives)
            self._fetched.update(parts)

    def _archives(self, *parts: Part) -> list[Archive]:
        archives = []
        for part in parts:
            marks = {f"DIV2K_{part}_HR": ""}
            if self.official:
                marks[self._lr_folder(part)] = f"x{self.scale}"
            for folder, mark in marks.items():
                file = folder.replace("/", "_") + ".zip"
                names = tuple(f"{number:04d}{mark}.png" for number in NUMBERS[part])
                archives.append(Archive(file, *PUBLISHED[file], folder, names))
        return archives

    def _lr_folder(self, part: str) -> str:
        return f"DIV2K_{part}_" + ("LR_x8" if self.scale == 8 else f"LR_bicubic/X{self.scale}")

    def _pictures(self, part: str) -> list[ImageFile]:
        hr, lr = self.root / f"DIV2K_{part}_HR", self.root / self._lr_folder(part)
        if not hr.is_dir():
            raise FacehallError(
                f"{hr} is missing: data=div2k needs a folder with DIV2K_train_HR and DIV2K_valid_HR. Download them "
                "with data.download=true, or on a machine with network access with `python -m facehall.download "
                f"data=div2k data.root={self.root}`, or manually from {ORIGIN}."
            )
        if not self.official:
            return files_below(hr)
        if not lr.is_dir():
            raise FacehallError(
                f"{lr} does not exist: data.lr=official uses the LR images of DIV2K's bicubic track. Download them "
                "with data.download=true, or make LR images with data.lr=make."
            )
        return pair_up(hr, lr)

    def _test_pictures(self, folder: Path) -> list[ImageFile]:
        if not self.official:
            return files_below(folder)
        return paired_below(
            folder,
            f"with data.lr=official, data.test_root={folder} must hold folders HR and LR with identical file names. "
            "Alternatively make LR images with data.lr=make.",
        )
