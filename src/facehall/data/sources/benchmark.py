"""Benchmark sets in the layouts in which they are commonly distributed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from facehall.data.sources.base import ImageFile, Split, check_split
from facehall.data.sources.folders import match_names
from facehall.errors import FacehallError
from facehall.imaging import list_images

HR_FOLDERS = ("image_SRF_{scale}", "HR", "original", "GT", "GTmod12")
LR_FOLDERS = ("LR_x{scale}", "LR_bicubic/X{scale}", "LRbicx{scale}", "image_SRF_{scale}", "LR")
"""Folders below the set's folder; SelfExSR's image_SRF_4 has img_001_SRF_4_HR.png next to img_001_SRF_4_LR.png."""


class BenchmarkSource:
    """A benchmark set, which has a test split only.

    HR pictures come from the first existing folder of HR_FOLDERS, or from the set's folder itself; if some names end in
    _HR, only those are used. Official LR pictures come from the first existing folder of LR_FOLDERS, or from the HR
    folder with names ending in _LR.

    Args:
        root: the set's folder, or a folder with a sub-folder of that name.
        name: name of the set.
        scale: scale of the official LR pictures.
        count: expected number of pictures; None accepts any number.
        lr: ``make``: LR made by the degradation. ``official``: the set's own LR pictures.
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
            raise FacehallError(f"data.lr={lr}: expected make or official.")
        self.root = Path(root)
        self.name = name
        self.scale = scale
        self.count = count
        self.official = lr == "official"

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        if which != "test":
            raise FacehallError(
                f"{self.name} is a test set and has no {which} images: evaluate it with split=test, and train with "
                "another data=…."
            )
        folder = self._folder()
        hr_folder = self._first_existing(folder, HR_FOLDERS) or folder
        hr = self._by_name(_pictures(hr_folder), "HR")
        if not hr or len(hr) != (self.count or len(hr)):
            known = ", ".join(self._formatted(HR_FOLDERS))
            raise FacehallError(
                f"{hr_folder} holds {len(hr)} HR image(s), but {self.name} has {self.count or 'some'}. Searched: "
                f"{known}, and the folder itself. Add the missing images, or use those present with data.count=null."
            )
        if not self.official:
            return [ImageFile(name, hr[name]) for name in sorted(hr)]
        lr_folder = self._first_existing(folder, LR_FOLDERS) or hr_folder
        if lr_folder == hr_folder and not any(path.stem.endswith("_LR") for path in _pictures(hr_folder)):
            raise FacehallError(
                f"{folder} has no LR images for x{self.scale}. Searched: {', '.join(self._formatted(LR_FOLDERS))}. Add "
                "them there, or make them with data.lr=make."
            )
        return match_names(hr, self._by_name(_pictures(lr_folder), "LR"), hr_folder, lr_folder)

    def _folder(self) -> Path:
        list_images(self.root)  # raises a clear error if there are no images
        named = [path for path in sorted(self.root.iterdir()) if path.name.lower() == self.name.lower()]
        return next((path for path in named if path.is_dir()), self.root)

    def _first_existing(self, folder: Path, names: Iterable[str]) -> Path | None:
        return next((folder / name for name in self._formatted(names) if (folder / name).is_dir()), None)

    def _formatted(self, names: Iterable[str]) -> list[str]:
        return [name.format(scale=self.scale) for name in names]

    def _by_name(self, paths: list[Path], mark: str) -> dict[str, Path]:
        """Map names to paths; if some names end in _HR or _LR (`mark`), use only those, without the suffix."""
        marked = [path for path in paths if path.stem.endswith(f"_{mark}")]
        found: dict[str, Path] = {}
        for path in marked or paths:
            name = re.sub(rf"(_SRF_\d+)?_{mark}$", "", path.stem)
            if name in found:
                raise FacehallError(f"{found[name]} and {path} both name {name} of {self.name}: remove one of them.")
            found[name] = path
        return found


def _pictures(folder: Path) -> list[Path]:
    """List the pictures of the folder itself, without sub-folders."""
    return [path for path in list_images(folder) if path.parent == folder]
