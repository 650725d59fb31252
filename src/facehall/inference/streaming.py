"""Writing results that are computed strip by strip, without holding large ones in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from facehall.imaging import Picture, write_picture
from facehall.imaging.exif import sized_exif
from facehall.imaging.png import write_png

MIN_STREAMED_PIXELS = 2**24
"""Results with more pixels are written while they are computed instead of being held in memory."""

Allocate = Callable[[tuple[int, ...], np.dtype], np.ndarray]


def write_strips(
    target: Path, picture: Picture, scale: int, strips: Iterator[np.ndarray], options: dict[str, Any]
) -> None:
    """Write the enlarged picture atomically: large PNG files while they are computed, other large ones via the disk.

    Args:
        target: the file.
        picture: the input, whose metadata the file gets.
        scale: output pixels per input pixel.
        strips: see `assemble`.
        options: further arguments of `write_picture`.
    """
    height, width = (side * scale for side in picture.rgb.shape[:2])
    if height * width <= MIN_STREAMED_PIXELS:
        write_picture(target, assemble(picture, scale, strips), **options)
    elif target.suffix.lower() == ".png":
        exif = sized_exif(picture.exif, width, height) if picture.exif else None
        compression = options.get("compression", 6)
        write_png(target, (width, height), strips, picture.icc, exif, picture.dpi, compression)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
            names = iter(("rgb", "alpha"))

            def mapped(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
                return np.memmap(Path(folder, next(names)), dtype, "w+", shape=shape)

            write_picture(target, assemble(picture, scale, strips, mapped), **options)


def assemble(picture: Picture, scale: int, strips: Iterator[np.ndarray], allocate: Allocate = np.empty) -> Picture:
    """Collect strips of the enlarged `picture`: (rows, scale W, C) of its dtype; C as of `Predictor.strips`."""
    size = tuple(side * scale for side in picture.rgb.shape[:2])
    rgb = allocate((*size, 3), picture.rgb.dtype)
    alpha = None if picture.alpha is None else allocate(size, picture.rgb.dtype)
    top = 0
    for strip in strips:
        rows = slice(top, top + len(strip))
        rgb[rows] = strip[..., : 1 if picture.grey else 3]
        if alpha is not None:
            alpha[rows] = strip[..., -1]
        top = rows.stop
    return replace(picture, rgb=rgb, alpha=alpha)
