"""Crops of a folder's pictures: a centre crop, or a box for each file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from facehall.data.sources.base import Box, ImageFile, Split
from facehall.data.sources.folders import FolderSource
from facehall.errors import FacehallError
from facehall.imaging import read_size


class FacesSource(FolderSource):
    """A folder tree of pictures (see FolderSource), each cropped to its face.

    Args:
        root: the folder.
        crop: side in pixels of a centre crop; None uses whole pictures.
        boxes: JSON file that maps paths below `root`, with suffix and forward slashes, to boxes [left, top, right,
            bottom] in pixels, rounded to integers: ``{"london/001_03.jpg": [245.2, 304.0, 1097.8, 1156.6]}``. Boxes
            without a picture are ignored.
        folder: further arguments of FolderSource.

    Raises:
        FacehallError: both `crop` and `boxes` are set, or the boxes file is malformed; by `split`, a picture has no
            box.
    """

    def __init__(
        self, root: str | Path, crop: int | None = None, boxes: str | Path | None = None, **folder: Any
    ) -> None:
        super().__init__(root, **folder)
        if crop is not None and boxes is not None:
            raise FacehallError(f"data.crop={crop} and data.boxes={boxes} are mutually exclusive: set one of them.")
        if crop is not None and crop < 1:
            raise FacehallError(f"data.crop={crop}: set the side of a square in pixels, or null for whole pictures.")
        self.crop = crop
        self.boxes_file = boxes
        self.boxes = None if boxes is None else read_boxes(Path(boxes))
        self._cropped: dict[Split, list[ImageFile]] = {}

    def split(self, which: Split) -> list[ImageFile]:
        if which not in self._cropped:  # cached, because every image header is read
            self._cropped[which] = [replace(file, box=self._box(file.hr)) for file in super().split(which)]
        return self._cropped[which]

    def _box(self, path: Path) -> Box | None:
        if self.boxes is not None:
            name = path.relative_to(self.root).as_posix()
            if name not in self.boxes:
                raise FacehallError(f"{path} has no box in {self.boxes_file}: add {name!r}, or remove the picture.")
            return self.boxes[name]
        if self.crop is None:
            return None
        try:
            width, height = read_size(path)
        except FacehallError:
            return None  # the error is raised when the picture is read
        left, top = (width - self.crop) // 2, (height - self.crop) // 2
        return left, top, left + self.crop, top + self.crop


def read_boxes(path: Path) -> dict[str, Box]:
    """Read the boxes of a JSON file, see FacesSource.

    Raises:
        FacehallError: the file is missing or not JSON, or an entry is not a box.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FacehallError(f"data.boxes={path} cannot be read: {error.strerror}. Check the path.") from error
    except ValueError as error:
        raise FacehallError(f"data.boxes={path} is not JSON: {error}. {_FORMAT}") from error
    if not isinstance(entries, dict):
        raise FacehallError(f"data.boxes={path} does not hold an object. {_FORMAT}")
    return {name: _box(name, value, path) for name, value in entries.items()}


_FORMAT = 'Expected one object, {"FILE BELOW data.root": [left, top, right, bottom], …}, in pixels.'


def _box(name: str, value: Any, path: Path) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(_is_number(edge) for edge in value):
        raise FacehallError(f"data.boxes={path}: {value!r} for {name!r} is not a box. {_FORMAT}")
    left, top, right, bottom = (round(edge) for edge in value)
    return left, top, right, bottom


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
