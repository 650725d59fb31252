"""Cut-outs of a folder's pictures: the middle, or a box for each file."""

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
    """A folder tree of pictures as FolderSource has it, of each of which a part is taken: the face.

    Args:
        root: the folder.
        crop: side in pixels of a square in the middle; None takes whole pictures.
        boxes: a JSON file with an object of the pictures' paths below `root`, with suffix and forward slashes, and of
            boxes [left, top, right, bottom] in pixels, rounded to whole ones:
            ``{"london/001_03.jpg": [245.2, 304.0, 1097.8, 1156.6]}``. Boxes without a picture are left alone.
        folder: further arguments of FolderSource.

    Raises:
        FacehallError: both are given, or the file of boxes is not as described; by `split`, a picture has no box.
    """

    def __init__(
        self, root: str | Path, crop: int | None = None, boxes: str | Path | None = None, **folder: Any
    ) -> None:
        super().__init__(root, **folder)
        if crop is not None and boxes is not None:
            raise FacehallError(f"data.crop={crop} and data.boxes={boxes} both say what to cut out: give one of them.")
        if crop is not None and crop < 1:
            raise FacehallError(f"data.crop={crop}: give the side of a square in pixels, or null for whole pictures.")
        self.crop = crop
        self.boxes_file = boxes
        self.boxes = None if boxes is None else read_boxes(Path(boxes))
        self._cut: dict[Split, list[ImageFile]] = {}

    def split(self, which: Split) -> list[ImageFile]:
        if which not in self._cut:  # every header is read, once
            self._cut[which] = [replace(file, box=self._box(file.hr)) for file in super().split(which)]
        return self._cut[which]

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
            return None  # whoever reads the picture will say what is wrong with it
        left, top = (width - self.crop) // 2, (height - self.crop) // 2
        return left, top, left + self.crop, top + self.crop


def read_boxes(path: Path) -> dict[str, Box]:
    """Read the boxes of a JSON file, see FacesSource.

    Raises:
        FacehallError: the file is not there, is no JSON, or an entry is no box.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FacehallError(f"data.boxes={path} cannot be read: {error.strerror}. Check the path.") from error
    except ValueError as error:
        raise FacehallError(f"data.boxes={path} is not JSON: {error}. {_FORMAT}") from error
    if not isinstance(entries, dict):
        raise FacehallError(f"data.boxes={path} holds no object. {_FORMAT}")
    return {name: _box(name, value, path) for name, value in entries.items()}


_FORMAT = 'It needs one object, {"FILE BELOW data.root": [left, top, right, bottom], …}, in pixels.'


def _box(name: str, value: Any, path: Path) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(_is_number(edge) for edge in value):
        raise FacehallError(f"data.boxes={path}: {value!r} of {name!r} is no box. {_FORMAT}")
    left, top, right, bottom = (round(edge) for edge in value)
    return left, top, right, bottom


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
