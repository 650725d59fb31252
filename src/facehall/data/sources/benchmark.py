"""Benchmark sets, in whichever layout they are handed around."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from facehall.data.sources.base import ImageFile, Split, check_split
from facehall.data.sources.folders import match
from facehall.errors import FacehallError
from facehall.imaging import list_images

HR_FOLDERS = ("image_SRF_{scale}", "HR", "original", "GT", "GTmod12")
LR_FOLDERS = ("LR_x{scale}", "LR_bicubic/X{scale}", "LRbicx{scale}", "image_SRF_{scale}", "LR")
"""Below the set's folder; SelfExSR's image_SRF_4 holds img_001_SRF_4_HR.png beside img_001_SRF_4_LR.png."""


class BenchmarkSource:
    """A set of pictures to test on, all of them, and nothing else.

    HR pictures are those of the first folder of HR_FOLDERS that is there, or lie in the set's folder itself; where
    names end in _HR, these are. Official LR pictures are those of the first of LR_FOLDERS, or beside HR with names that
    end in _LR.

    Args:
        root: the set's folder, or one with a sub-folder of that name.
        name: of the set.
        scale: of the official LR pictures.
        count: how many pictures the set has; None takes what is there.
        lr: ``make``: LR pictures by the degradation. ``official``: those that came with the set.
    """

    def __init__(
        self,
        root: str | Path,
        name: str,
        scale: int,
        count: int | None = None,
        lr: Literal["make", "official"] = "make",
    ) -> None:
        if lr not in ("make", "official"):
            raise FacehallError(f"data.lr={lr}: give make or official.")
        self.root = Path(root)
        self.name = name
        self.scale = scale
        self.count = count
        self.official = lr == "official"

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        if which != "test":
            raise FacehallError(
                f"{self.name} is for testing alone and has no {which} images: evaluate it with split=test, and choose "
                "another data=… to train."
            )
        folder = self._folder()
        hr_folder = self._first(folder, HR_FOLDERS) or folder
        hr = self._named(_pictures(hr_folder), "HR")
        if not hr or len(hr) != (self.count or len(hr)):
            known = ", ".join(self._in_words(HR_FOLDERS))
            raise FacehallError(
                f"{hr_folder} holds {len(hr)} HR image(s), but {self.name} has {self.count or 'some'}. They are looked "
                f"for in {known}, or in the folder itself. Add what is missing, or take what is there: data.count=null."
            )
        if not self.official:
            return [ImageFile(name, hr[name]) for name in sorted(hr)]
        lr_folder = self._first(folder, LR_FOLDERS) or hr_folder
        if lr_folder == hr_folder and not any(path.stem.endswith("_LR") for path in _pictures(hr_folder)):
            raise FacehallError(
                f"{folder} has no LR images of x{self.scale}: they are looked for in "
                f"{', '.join(self._in_words(LR_FOLDERS))}. Put them there, or make them: data.lr=make."
            )
        return match(hr, self._named(_pictures(lr_folder), "LR"), hr_folder, lr_folder)

    def _folder(self) -> Path:
        list_images(self.root)  # says what is wrong where there is nothing
        named = [path for path in sorted(self.root.iterdir()) if path.name.lower() == self.name.lower()]
        return next((path for path in named if path.is_dir()), self.root)

    def _first(self, folder: Path, names: Iterable[str]) -> Path | None:
        return next((folder / name for name in self._in_words(names) if (folder / name).is_dir()), None)

    def _in_words(self, names: Iterable[str]) -> list[str]:
        return [name.format(scale=self.scale) for name in names]

    def _named(self, paths: list[Path], mark: str) -> dict[str, Path]:
        """By name; those that end in _HR or _LR alone, without that, where some do."""
        marked = [path for path in paths if path.stem.endswith(f"_{mark}")]
        found: dict[str, Path] = {}
        for path in marked or paths:
            name = re.sub(rf"(_SRF_\d+)?_{mark}$", "", path.stem)
            if name in found:
                raise FacehallError(f"{found[name]} and {path} are both {name} of {self.name}: remove one of them.")
            found[name] = path
        return found


def _pictures(folder: Path) -> list[Path]:
    """Those of the folder itself, not of folders below."""
    return [path for path in list_images(folder) if path.parent == folder]
