"""Where the annotations of a picture are: what an ImageFile carries instead of the annotations themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from facehall.data.annotations.annotation import Annotations
from facehall.data.annotations.beside import Beside
from facehall.data.annotations.set_files import Entry, read_set
from facehall.errors import FacehallError

BESIDE = "beside"
DEFAULTS = "annotations.json"
"""In the root of a set: the schemes of annotations that lie beside their pictures."""


class Location(Protocol):
    """Where the annotations of one picture are. Hashable and picklable: it travels to worker processes."""

    def read(self, size: tuple[int, int]) -> Annotations:
        """The annotations of the whole picture as it is stored, upright.

        Args:
            size: (height, width) of the picture.

        Raises:
            FacehallError: there are none for this picture, or they do not fit it; the text says which.
        """
        ...

    def state(self) -> str:
        """A text that changes when `read` would give something else."""
        ...


def locator(annotations: str | Path | None, root: Path) -> Callable[[Path], Location | None]:
    """Where the annotations of the pictures of a set are.

    Args:
        annotations: None for no annotations; ``beside`` for files beside each picture (see `Beside`), with the schemes
            in `root`/annotations.json; or one file for the whole set (see `read_set`).
        root: folder of the pictures.

    Returns:
        a function from the path of a picture to its Location, or to None where there are to be no annotations.

    Raises:
        FacehallError: the file is missing or is not as described.
    """
    if annotations is None:
        return lambda picture: None
    if str(annotations) == BESIDE:
        defaults = root / DEFAULTS
        return lambda picture: Beside(picture, defaults if defaults.is_file() else None)
    file = Path(annotations)
    if file.is_dir():
        raise FacehallError(f"data.annotations={file} is a folder: give a .json or .npz file, {BESIDE} or null.")
    read_set(file)  # mistakes come before any picture is looked at
    return lambda picture: Entry(file, picture.relative_to(root).as_posix())
