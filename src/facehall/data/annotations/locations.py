"""Annotation locations: references to stored annotations, carried by each ImageFile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.set_files import Entry, read_set
from facehall.data.annotations.sidecar import Sidecar
from facehall.errors import FacehallError

BESIDE = "beside"
DEFAULTS = "annotations.json"
"""File in the root of a set that declares the schemes of its sidecar annotations."""


class Location(Protocol):
    """Location of one picture's annotations. Must be hashable and picklable, because it is sent to workers."""

    def read(self, size: tuple[int, int]) -> Annotations:
        """Read the annotations of the whole stored picture, upright.

        Args:
            size: (height, width) of the picture.

        Raises:
            FacehallError: the picture has no annotations, or they do not fit it.
        """
        ...

    def state(self) -> str:
        """Return a text that changes whenever `read` would return something different."""
        ...


def locator(annotations: str | Path | None, root: Path) -> Callable[[Path], Location | None]:
    """Return a function that locates the annotations of a set's pictures.

    Args:
        annotations: None for no annotations; ``beside`` for sidecar files (see `Sidecar`), with the schemes in
            `root`/annotations.json; or one file for the whole set (see `read_set`).
        root: folder of the pictures.

    Returns:
        a function from the path of a picture to its Location; it returns None if `annotations` is None.

    Raises:
        FacehallError: the file is missing or malformed.
    """
    if annotations is None:
        return lambda picture: None
    if str(annotations) == BESIDE:
        defaults = root / DEFAULTS
        return lambda picture: Sidecar(picture, defaults if defaults.is_file() else None)
    file = Path(annotations)
    if file.is_dir():
        raise FacehallError(f"data.annotations={file} is a folder: set a .json or .npz file, {BESIDE} or null.")
    read_set(file)  # report errors before any picture is read
    return lambda picture: Entry(file, picture.relative_to(root).as_posix())
