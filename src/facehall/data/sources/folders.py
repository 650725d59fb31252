"""Sources on disk: arbitrary picture folders, and paired LR and HR folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facehall.data.annotations import locator
from facehall.data.annotations.sidecar import is_parsing_map
from facehall.data.sources.base import (
    SPLITS,
    ImageFile,
    Split,
    check_limits,
    check_split,
    limit_files,
    random_split,
)
from facehall.errors import FacehallError
from facehall.imaging import list_images


def files_below(root: Path) -> list[ImageFile]:
    """List every picture below a folder, named by relative path; the suffix is kept if names would be ambiguous.

    Parsing maps next to their pictures (NAME.parsing.png) are skipped.
    """
    images = list_images(root)
    stems = {path.with_suffix("") for path in images}
    paths = {path: path.relative_to(root) for path in images if not is_parsing_map(path, stems)}
    # Full names are counted too, so that a.png.jpg next to a.png and a.jpg does not become a second a.png.
    counts = Counter(name for relative in paths.values() for name in (relative, relative.with_suffix("")))
    names = {path: relative.with_suffix("") for path, relative in paths.items()}
    return [ImageFile((name if counts[name] == 1 else paths[path]).as_posix(), path) for path, name in names.items()]


class FolderSource:
    """Any folder tree of pictures.

    If `root` has sub-folders train, val or test, these are the splits, and a missing val or test is split off train.
    Otherwise, or if a fraction is 1, all pictures below `root` are split by the fractions.

    Args:
        root: the folder.
        val_fraction, test_fraction: fraction of the pictures for val and test without such sub-folders.
        seed: seed of `random_split`; adding or removing pictures moves at most one other picture at each boundary.
        val_limit, test_limit: maximum number of pictures, chosen by a hash of name and seed; None uses all.
        size: shorter side in pixels to which larger pictures are downscaled with bicubic; None keeps them.
        exclude: names of sub-folders to skip, anywhere in the tree. A missing one is a remark, not an error, because
            recipes may name folders that not every machine has.
        annotations: None; ``beside`` for sidecar files next to each picture, NAME.annotations.json and
            NAME.parsing.png; or one JSON or NPZ file (`facehall.data.annotations`). Pictures without an entry are
            unusable.

    Raises:
        FacehallError: a limit or size below 1, or a missing or malformed annotations file; by `split`, the split is
            empty.
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
            raise FacehallError(f"data.size={size}: set the shorter side in pixels, or null to keep the original size.")
        self.root = Path(root)
        self.size = size
        self.excluded = frozenset(exclude)
        self.locate = locator(annotations, self.root)
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.seed = seed
        self.limits: dict[Split, int | None] = {"train": None, "val": val_limit, "test": test_limit}
        check_limits(self.limits)
        self._listed: dict[str, list[ImageFile]] = {}
        self._seen_excluded: set[str] = set()  # excluded folder names found so far

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        every = 1 in self.fractions.values()
        own = [] if every else [name for name in SPLITS if (self.root / name).is_dir()]
        if which in own and which != "train":
            return limit_files(self._list(which), self.limits[which], self.seed)
        if own and "train" not in own:  # splitting the whole tree would train on its val and test pictures
            raise FacehallError(
                f"{self.root} has {' and '.join(own)}, but neither {which} nor a train folder to split it off: create "
                f"{self.root / 'train'}, or set data.root to a folder without {' and '.join(own)}."
            )
        val, test = (0.0 if name in own else self.fractions[name] for name in ("val", "test"))
        files = random_split(self._list("train" if own else ""), val, test, self.seed)[which]
        if not files:
            raise FacehallError(
                f"{self.root} has no {which} images when split with data.val_fraction={val} and "
                f"data.test_fraction={test}. Change these, or create folders train, val and test below it."
            )
        return limit_files(files, self.limits[which], self.seed)

    def _list(self, name: str) -> list[ImageFile]:
        """List the pictures of a sub-folder, or of the root (""), named relative to the root; cached."""
        if name not in self._listed:
            folder = self.root / name
            if name and not any(folder.iterdir()):
                fix = "add pictures" if name == "train" else f"add pictures, or remove it to split {name} off train"
                raise FacehallError(f"{folder} is empty: {fix}.")
            files = [self._with_options(file) for file in self._files(folder) if not self._is_excluded(file)]
            self._listed[name] = [replace(file, name=f"{name}/{file.name}") for file in files] if name else files
        return self._listed[name]

    def remarks(self) -> list[str]:
        """Return a remark for each folder of `exclude` that contained none of the pictures listed so far."""
        return [
            f"data.exclude names {name}, but no picture below {self.root} is in a folder of that name."
            for name in sorted(self.excluded - self._seen_excluded)
        ]

    def _with_options(self, file: ImageFile) -> ImageFile:
        return replace(file, size=self.size, annotations=self.locate(file.hr))

    def _is_excluded(self, file: ImageFile) -> bool:
        if not self.excluded:
            return False
        found = self.excluded.intersection(file.hr.relative_to(self.root).parts[:-1])
        self._seen_excluded |= found
        return bool(found)

    def _files(self, folder: Path) -> list[ImageFile]:
        """List the pictures of one folder; subclasses with another layout override it."""
        return files_below(folder)


class PairedSource(FolderSource):
    """LR and HR folders with identical file names (the paper's sec. 3.2): root/HR and root/LR, or root/train/HR etc.

    An LR name may include the scale, as in DIV2K (0001x4.png for 0001.png).

    Args: see FolderSource.
    """

    def _files(self, folder: Path) -> list[ImageFile]:
        return paired_below(
            folder,
            "data=paired needs a folder that holds HR and LR with identical file names, or train, val and test with "
            "HR and LR in each. Without LR images use data=folder.",
        )


def paired_below(folder: Path, needed: str) -> list[ImageFile]:
    """List the pairs of FOLDER/HR and FOLDER/LR; see `match_names`.

    Args:
        needed: description of the expected layout, for the message if a folder is missing.

    Raises:
        FacehallError: FOLDER/HR or FOLDER/LR is missing.
    """
    for name in ("HR", "LR"):
        if not (folder / name).is_dir():
            raise FacehallError(f"{folder / name} is missing: {needed}")
    return pair_up(folder / "HR", folder / "LR")


def pair_up(hr_root: Path, lr_root: Path) -> list[ImageFile]:
    """Pair the files of an HR folder with those of the same names in an LR folder; see `match_names`."""
    hr, lr = ({file.name: file.hr for file in files_below(root)} for root in (hr_root, lr_root))
    return match_names(hr, lr, hr_root, lr_root)


def match_names(hr: dict[str, Path], lr: dict[str, Path], hr_root: Path, lr_root: Path) -> list[ImageFile]:
    """Pair HR and LR files by name, sorted by name; an LR name may include the scale (0001x4).

    If a name has only one of the two, the other path points to a missing file, which `missing_partner` reports.

    Raises:
        FacehallError: two LR files match the same name.
    """
    partners: dict[str, Path] = {}
    for given, path in lr.items():
        name = given if given in hr else re.sub(r"x\d$", "", given)
        if name in partners:
            raise FacehallError(f"{partners[name]} and {path} are both LR images of {name}: remove one of them.")
        partners[name] = path
    files = []
    for name in sorted(hr.keys() | partners.keys()):
        high, low = hr.get(name), partners.get(name)
        high = high or hr_root / f"{name}{low.suffix if low else ''}"
        files.append(ImageFile(name, high, low or lr_root / f"{name}{high.suffix}"))
    return files
