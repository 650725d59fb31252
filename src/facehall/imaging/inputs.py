"""Conversion of files, Pillow images and arrays to `Picture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from facehall.imaging.files import Picture, from_pillow, read_picture


def as_picture(picture: Picture | np.ndarray | Image.Image | str | Path) -> Picture:
    """Convert a file, a Pillow image or an array to a Picture.

    Args:
        picture: a Picture, a path, a Pillow image, or a uint8 or uint16 array: (H, W) or (H, W, 1) grey, (H, W, 2) grey
            with alpha, (H, W, 3) RGB, (H, W, 4) RGBA.

    Raises:
        FacehallError: if the file cannot be read.
        ValueError: if the array has another shape or dtype.
    """
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, (str, Path)):
        return read_picture(picture)
    if isinstance(picture, Image.Image):
        return from_pillow(picture)
    array = picture[..., None] if picture.ndim == 2 else picture
    if array.dtype not in (np.uint8, np.uint16) or array.ndim != 3 or array.shape[2] > 4 or 0 in array.shape:
        raise ValueError(f"a picture is (H, W, 3) uint8 or uint16, (H, W) if grey, not {picture.shape} {picture.dtype}")
    grey = array.shape[2] < 3
    rgb = array[..., :1].repeat(3, axis=2) if grey else array[..., :3]
    return Picture(rgb, array[..., -1] if array.shape[2] in (2, 4) else None, grey)
