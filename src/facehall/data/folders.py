"""Sources on disk: any folder of pictures, paired LR and HR folders, a local copy of DIV2K."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

from facehall.data.sources import (
    SPLITS,
    ImageFile,
    Split,
    check_limits,
    check_split,
    evenly_spaced,
    random_split,
)
from facehall.errors import FacehallError
from facehall.imaging import list_images


def files_below(root: Path) -> list[ImageFile]:
    """Every picture below a folder, named by its relative path; the suffix stays where a name would mean two files."""
    paths = {path: path.relative_to(root) for path in list_images(root)}
    # With the full names counted as well, a.png.jpg beside a.png and a.jpg does not become a second a.png.
    meanings = Counter(name for relative in paths.values() for name in (relative, relative.with_suffix("")))
    names = {path: relative.with_suffix("") for path, relative in paths.items()}
    return [ImageFile((name if meanings[name] == 1 else paths[path]).as_posix(), path) for path, name in names.items()]


class FolderSource:
    """Any folder tree of pictures.

    Where `root` has sub-folders train, val or test, they are the splits, and a val or test that is missing is dealt
    out of train. Otherwise, and where a fraction is 1, all pictures below `root` are dealt out by the fractions.

    Args:
        root: the folder.
        val_fraction, test_fraction: share of the pictures for val and test where no sub-folder says so; the dealing
            depends on names and `seed` alone.
        val_limit, test_limit: at most so many pictures of a split, evenly spaced; None takes all.
    """

    def __init__(
        self,
        root: str | Path,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        seed: int = 0,
        val_limit: int | None = None,
        test_limit: int | None = None,
    ) -> None:
        self.root = Path(root)
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.seed = seed
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)
        self._listed: dict[str, list[ImageFile]] = {}

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        every = 1 in self.fractions.values()
        own = [] if every else [name for name in SPLITS if (self.root / name).is_dir()]
        if which in own and which != "train":
            return evenly_spaced(self._list(which), self.limits[which])
        if own and "train" not in own:  # dealing the whole tree out would train on its val and test pictures
            raise FacehallError(
                f"{self.root} has {' and '.join(own)}, but neither {which} nor a train to deal it out of: make "
                f"{self.root / 'train'}, or give data.root=DIR of a folder without {' and '.join(own)}."
            )
        val, test = (0.0 if name in own else self.fractions[name] for name in ("val", "test"))
        files = random_split(self._list("train" if own else ""), val, test, self.seed)[which]
        if not files:
            raise FacehallError(
                f"{self.root} gives no {which} images: its pictures are dealt out with data.val_fraction={val} and "
                f"data.test_fraction={test}. Change these, or make folders train, val and test below it."
            )
        return evenly_spaced(files, self.limits[which])

    def _list(self, name: str) -> list[ImageFile]:
        """The pictures of a sub-folder, or of the root (""), with names from the root on; listed once."""
        if name not in self._listed:
            folder = self.root / name
            if name and not any(folder.iterdir()):
                instead = "put pictures there" if name == "train" else f"fill it, or remove it to have {name} dealt out"
                raise FacehallError(f"{folder} is empty: {instead}.")
            files = self._files(folder)
            self._listed[name] = [replace(file, name=f"{name}/{file.name}") for file in files] if name else files
        return self._listed[name]

    def _files(self, folder: Path) -> list[ImageFile]:
        """What one folder holds; a sibling with another layout says otherwise."""
        return files_below(folder)


class PairedSource(FolderSource):
    """LR and HR folders of identical names (the paper's sec. 3.2): root/HR and root/LR, or root/train/HR and so on.

    An LR name may carry the scale, as DIV2K's do (0001x4.png beside 0001.png).

    Args: as FolderSource.

    Raises:
        FacehallError: a file has no sibling; the paragraph lists the first strays.
    """

    def _files(self, folder: Path) -> list[ImageFile]:
        for name in ("HR", "LR"):
            if not (folder / name).is_dir():
                raise FacehallError(
                    f"{folder / name} is missing: data=paired takes a folder that holds HR and LR with files of "
                    "identical names, or train, val and test with HR and LR in each. Without LR images use data=folder."
                )
        return pair_up(folder / "HR", folder / "LR")


def pair_up(hr_root: Path, lr_root: Path) -> list[ImageFile]:
    """The files of an HR folder, each with the file of the same name in an LR folder.

    Raises:
        FacehallError: names that stand on one side only, or twice on the other.
    """
    hr = {file.name: file.hr for file in files_below(hr_root)}
    lr: dict[str, Path] = {}
    for file in files_below(lr_root):
        name = file.name if file.name in hr else re.sub(r"x\d$", "", file.name)
        if name in lr:
            raise FacehallError(f"{lr[name]} and {file.hr} are both the LR image of {name}: remove one of them.")
        lr[name] = file.hr
    strays = [str(hr[name]) for name in sorted(hr.keys() - lr.keys())]
    strays += [str(lr[name]) for name in sorted(lr.keys() - hr.keys())]
    if strays:
        listed = ", ".join(strays[:10]) + (f" and {len(strays) - 10} more" if len(strays) > 10 else "")
        raise FacehallError(
            f"{hr_root} and {lr_root} must hold files of identical names, but {len(strays)} stand(s) alone: {listed}. "
            "Add what is missing or remove these."
        )
    return [ImageFile(name, hr[name], lr[name]) for name in sorted(hr)]


class Div2kSource:
    """A local copy of DIV2K (Agustsson & Timofte 2017), the paper's set.

    Train is DIV2K_train_HR (800). DIV2K_valid_HR (100) gives val with its images of even number and test with those
    of odd number, unless a folder DIV2K_test_HR is there; then val has all 100.

    Args:
        root: the folder that holds DIV2K_train_HR and DIV2K_valid_HR.
        lr: ``make``: LR images by the degradation. ``official``: DIV2K_*_LR_bicubic/X{scale}, of x8 DIV2K_*_LR_x8.
        scale: of the official LR images.
        val_limit, test_limit: at most so many pictures of a split, evenly spaced; None takes all.
    """

    ORIGIN = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"

    def __init__(
        self,
        root: str | Path,
        scale: int,
        lr: Literal["make", "official"] = "make",
        val_limit: int | None = None,
        test_limit: int | None = None,
    ) -> None:
        if lr not in ("make", "official"):
            raise FacehallError(f"data.lr={lr}: give make or official.")
        self.root = Path(root)
        self.scale = scale
        self.official = lr == "official"
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        own_test = (self.root / "DIV2K_test_HR").is_dir()
        files = self._folder("test" if which == "test" and own_test else "train" if which == "train" else "valid")
        if which != "train" and not own_test:
            files = files[which == "val" :: 2]  # 0801, 0803, … test; 0802, 0804, … val
        return evenly_spaced(files, self.limits[which])

    def _folder(self, name: str) -> list[ImageFile]:
        hr = self.root / f"DIV2K_{name}_HR"
        if not hr.is_dir():
            raise FacehallError(
                f"{hr} is missing: data=div2k takes a folder that holds DIV2K_train_HR and DIV2K_valid_HR. Get both "
                f"archives from {self.ORIGIN}, unpack them side by side and give data.root=DIR."
            )
        if not self.official:
            return files_below(hr)
        track = "LR_x8" if self.scale == 8 else f"LR_bicubic/X{self.scale}"
        lr = self.root / f"DIV2K_{name}_{track}"
        if not lr.is_dir():
            raise FacehallError(
                f"{lr} does not exist: data.lr=official takes the LR images of DIV2K's bicubic track. Get them from "
                f"{self.ORIGIN} and unpack them beside {hr.name}, or make LR images here: data.lr=make."
            )
        return pair_up(hr, lr)
