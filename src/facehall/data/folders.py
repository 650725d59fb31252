"""Sources on disk: any folder of pictures, paired LR and HR folders, a local copy of DIV2K."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Literal

from facehall.data.sources import (
    SPLITS,
    ImageFile,
    Split,
    check_split,
    evenly_spaced,
    random_split,
)
from facehall.errors import FacehallError
from facehall.imaging import list_images


def files_below(root: Path) -> list[ImageFile]:
    """Every picture below a folder, named by its relative path, with the suffix where two differ in nothing else."""
    paths = {path: path.relative_to(root) for path in list_images(root)}
    stems = Counter(relative.with_suffix("") for relative in paths.values())
    return [
        ImageFile((relative if stems[relative.with_suffix("")] > 1 else relative.with_suffix("")).as_posix(), path)
        for path, relative in paths.items()
    ]


class FolderSource:
    """Any folder tree of pictures.

    Where `root` has a sub-folder train, its sub-folders train, val and test are the splits, and a val or test that
    is missing is dealt out of train. Otherwise, and where a fraction is 1, all pictures below `root` are dealt out by
    the fractions.

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
        self._splits: dict[Split, list[ImageFile]] | None = None

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        if self._splits is None:
            self._splits = self._deal()
        files = evenly_spaced(self._splits[which], self.limits[which])
        if not files:
            raise FacehallError(
                f"{self.root} gives no {which} images: its pictures are dealt out with data.val_fraction="
                f"{self.fractions['val']} and data.test_fraction={self.fractions['test']}, and data.val_limit and "
                "data.test_limit cut the splits. Change these, or make folders train, val and test below it."
            )
        return files

    def _deal(self) -> dict[Split, list[ImageFile]]:
        if not (self.root / "train").is_dir() or 1 in self.fractions.values():
            return random_split(self._files(self.root), self.fractions["val"], self.fractions["test"], self.seed)
        given = {which: self._files(self.root / which) for which in SPLITS if (self.root / which).is_dir()}
        missing = {which: 0.0 if which in given else self.fractions[which] for which in ("val", "test")}
        dealt = random_split(given["train"], missing["val"], missing["test"], self.seed)
        return {**dealt, **{which: files for which, files in given.items() if which != "train"}}

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
            f"{hr_root} and {lr_root} must hold files of identical names, but {len(strays)} stand(s) alone: {listed}."
        )
    return [ImageFile(name, hr[name], lr[name]) for name in sorted(hr)]


class Div2kSource:
    """A local copy of DIV2K (Agustsson & Timofte 2017), the paper's set.

    Train is DIV2K_train_HR (800). DIV2K_valid_HR (100) gives val with its images of even number and test with those
    of odd number, unless a folder DIV2K_test_HR is there; then val has all 100.

    Args:
        root: the folder that holds DIV2K_train_HR and DIV2K_valid_HR.
        lr: ``make``: LR images by the degradation. ``official``: DIV2K_*_LR_bicubic/X{scale}.
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
        return pair_up(hr, self.root / f"DIV2K_{name}_LR_bicubic" / f"X{self.scale}")
