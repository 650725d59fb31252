"""Sources on disk: any folder of pictures, paired LR and HR folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facehall.data.annotations import locator
from facehall.data.annotations.beside import is_parsing_map
from facehall.data.sources.base import (
    SPLITS,
    ImageFile,
    Split,
    check_limits,
    check_split,
    limited,
    random_split,
)
from facehall.errors import FacehallError
from facehall.imaging import list_images


def files_below(root: Path) -> list[ImageFile]:
    """Every picture below a folder, named by its relative path; the suffix stays where a name would mean two files.

    Parsing maps beside their pictures (NAME.parsing.png) are not pictures.
    """
    images = list_images(root)
    stems = {path.with_suffix("") for path in images}
    paths = {path: path.relative_to(root) for path in images if not is_parsing_map(path, stems)}
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
        val_fraction, test_fraction: share of the pictures for val and test where no sub-folder says so.
        seed: decides with the names, by `random_split`: pictures that come or go leave the others where they are, but
            for one at a boundary.
        val_limit, test_limit: at most so many pictures of a split, drawn by name and seed too; None takes all.
        size: shorter side in pixels to which larger pictures are reduced by bicubic; None keeps them.
        exclude: sub-folders to leave out, anywhere in the tree. One that is not there is a remark and no mistake:
            recipes name folders that not every machine has.
        annotations: None; ``beside`` for files beside each picture, NAME.annotations.json and NAME.parsing.png; or a
            JSON or NPZ file for all of them (`facehall.data.annotations`). A picture without an entry is one that
            cannot be used.

    Raises:
        FacehallError: a limit or a size below 1, or a file of annotations that is not there or not as described; by
            `split`, the split is empty.
    """

    def __init__(
        self,
        root: str | Path,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        seed: int = 0,
        val_limit: int | None = None,
        test_limit: int | None = None,
        size: int | None = None,
        exclude: Sequence[str] = (),
        annotations: str | Path | None = None,
    ) -> None:
        if size is not None and size < 1:
            raise FacehallError(f"data.size={size}: give the shorter side in pixels, or null to keep pictures whole.")
        self.root = Path(root)
        self.size = size
        self.excluded = frozenset(exclude)
        self.locate = locator(annotations, self.root)
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.seed = seed
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)
        self._listed: dict[str, list[ImageFile]] = {}
        self._met: set[str] = set()  # names of folders, of those to exclude

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        every = 1 in self.fractions.values()
        own = [] if every else [name for name in SPLITS if (self.root / name).is_dir()]
        if which in own and which != "train":
            return limited(self._list(which), self.limits[which], self.seed)
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
        return limited(files, self.limits[which], self.seed)

    def _list(self, name: str) -> list[ImageFile]:
        """The pictures of a sub-folder, or of the root (""), with names from the root on; listed once."""
        if name not in self._listed:
            folder = self.root / name
            if name and not any(folder.iterdir()):
                instead = "put pictures there" if name == "train" else f"fill it, or remove it to have {name} dealt out"
                raise FacehallError(f"{folder} is empty: {instead}.")
            files = [self._complete(file) for file in self._files(folder) if not self._left_out(file)]
            self._listed[name] = [replace(file, name=f"{name}/{file.name}") for file in files] if name else files
        return self._listed[name]

    def remarks(self) -> list[str]:
        """One for each folder of `exclude` that held none of the pictures listed so far."""
        return [
            f"data.exclude names {name}, but no picture below {self.root} lies in a folder of that name."
            for name in sorted(self.excluded - self._met)
        ]

    def _complete(self, file: ImageFile) -> ImageFile:
        return replace(file, size=self.size, annotations=self.locate(file.hr))

    def _left_out(self, file: ImageFile) -> bool:
        if not self.excluded:
            return False
        met = self.excluded.intersection(file.hr.relative_to(self.root).parts[:-1])
        self._met |= met
        return bool(met)

    def _files(self, folder: Path) -> list[ImageFile]:
        """What one folder holds; a sibling with another layout says otherwise."""
        return files_below(folder)


class PairedSource(FolderSource):
    """LR and HR folders of identical names (the paper's sec. 3.2): root/HR and root/LR, or root/train/HR and so on.

    An LR name may carry the scale, as DIV2K's do (0001x4.png beside 0001.png).

    Args: as FolderSource.
    """

    def _files(self, folder: Path) -> list[ImageFile]:
        return paired_below(
            folder,
            "data=paired takes a folder that holds HR and LR with files of identical names, or train, val and test "
            "with HR and LR in each. Without LR images use data=folder.",
        )


def paired_below(folder: Path, needed: str) -> list[ImageFile]:
    """The pairs of FOLDER/HR and FOLDER/LR; see `match`.

    Args:
        needed: what is wanted, for the message where one of the two is missing.

    Raises:
        FacehallError: it is.
    """
    for name in ("HR", "LR"):
        if not (folder / name).is_dir():
            raise FacehallError(f"{folder / name} is missing: {needed}")
    return pair_up(folder / "HR", folder / "LR")


def pair_up(hr_root: Path, lr_root: Path) -> list[ImageFile]:
    """The files of an HR folder, each with the file of the same name in an LR folder; see `match`."""
    hr, lr = ({file.name: file.hr for file in files_below(root)} for root in (hr_root, lr_root))
    return match(hr, lr, hr_root, lr_root)


def match(hr: dict[str, Path], lr: dict[str, Path], hr_root: Path, lr_root: Path) -> list[ImageFile]:
    """HR and LR files of one name, sorted by it; an LR name may carry the scale (0001x4).

    Where a name stands on one side only, the other path is that of a file that is missing: `stands_alone` tells.

    Raises:
        FacehallError: a name stands twice on the LR side.
    """
    partners: dict[str, Path] = {}
    for given, path in lr.items():
        name = given if given in hr else re.sub(r"x\d$", "", given)
        if name in partners:
            raise FacehallError(f"{partners[name]} and {path} are both the LR image of {name}: remove one of them.")
        partners[name] = path
    files = []
    for name in sorted(hr.keys() | partners.keys()):
        high, low = hr.get(name), partners.get(name)
        high = high or hr_root / f"{name}{low.suffix if low else ''}"
        files.append(ImageFile(name, high, low or lr_root / f"{name}{high.suffix}"))
    return files
