"""Which image files a folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from facehall.errors import FacehallError

#: File name endings (in lower case) that `list_images` takes for images.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


def list_images(root: str | Path) -> list[Path]:
    """Every image below a folder, sub-folders too, sorted by relative path with forward slashes.

    An image is what ends in one of IMAGE_SUFFIXES, in any case; files and folders whose names begin with a
    dot are skipped, links followed. Raises FacehallError when `root` is missing, is no folder, cannot be read
    or has none.
    """
    root = Path(root)
    if not root.exists():
        raise FacehallError(f"The image folder {root} does not exist. Check the path.")
    if not root.is_dir():
        raise FacehallError(f"{root} is a file, but a folder of images is needed. Name the folder that holds it.")
    images = sorted(_walk(root), key=lambda path: path.relative_to(root).as_posix())
    if not images:
        raise FacehallError(
            f"The folder {root} holds no images. Files that end in {', '.join(IMAGE_SUFFIXES)} are looked for, in "
            "sub-folders too; those whose names begin with a dot are skipped. Check the path."
        )
    return images


def _walk(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise FacehallError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    for folder, subfolders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder).resolve()
        # A link to a folder that we are in would be followed for ever.
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and not here.is_relative_to(Path(folder, name).resolve())
        ]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)
