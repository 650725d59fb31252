"""Recursive listing of image files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from facehall.errors import FacehallError

#: File suffixes (in lower case) that `list_images` recognises.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


def list_images(root: str | Path) -> list[Path]:
    """List all images below a folder recursively, sorted by relative path with forward slashes.

    Images are recognised by IMAGE_SUFFIXES, ignoring case. Hidden files and folders are skipped; links are followed.

    Raises:
        FacehallError: if `root` does not exist, is not a folder, cannot be read or contains no images.
    """
    root = Path(root)
    if not root.exists():
        raise FacehallError(f"The image folder {root} does not exist. Check the path.")
    if not root.is_dir():
        raise FacehallError(f"{root} is a file, but a folder of images is required. Give the folder that contains it.")
    images = sorted(_walk(root), key=lambda path: path.relative_to(root).as_posix())
    if not images:
        raise FacehallError(
            f"The folder {root} contains no images. Recognised are {', '.join(IMAGE_SUFFIXES)}, in sub-folders too; "
            "hidden files (names starting with a dot) are skipped. Check the path."
        )
    return images


def _walk(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise FacehallError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    for folder, subfolders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder).resolve()
        # Skip links to an enclosing folder, which would recurse for ever.
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and not here.is_relative_to(Path(folder, name).resolve())
        ]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)
