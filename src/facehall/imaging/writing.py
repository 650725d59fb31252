"""Pictures as files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facehall.errors import FacehallError
from facehall.imaging.exif import sized_exif
from facehall.imaging.files import Picture
from facehall.imaging.levels import eight_bits
from facehall.imaging.png import write_png
from facehall.io.atomic import replacing

_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
WRITABLE = tuple(_KINDS)
"""File name endings, in lower case, of what can be written."""
_LONGEST_JPEG_EXIF = 65533  # bytes: a segment of a JPEG file holds no more
_ROWS = 256  # of a PNG file, interleaved with transparency at a time


def check_quality(quality: int | None, compression: int) -> None:
    """Raise FacehallError unless `write_picture` takes these."""
    if quality is not None and not 1 <= quality <= 100:
        raise FacehallError(f"quality={quality}: it goes from 1 to 100, for JPEG and WebP files.")
    if not 0 <= compression <= 9:
        raise FacehallError(f"compression={compression}: it goes from 0 (fast) to 9 (small), for PNG files.")


def write_picture(
    path: str | Path, picture: Picture | np.ndarray, quality: int | None = None, compression: int = 6
) -> None:
    """Write a Picture or an array (H, W, 3) uint8 or uint16 with the metadata that it has; the suffix decides the kind.

    Grey pictures become single-channel files (not in WebP, which has none).
    16 bits a channel stay in PNG files, for others the nearest 8 bits are taken. The file appears whole or not at
    all; missing folders are made.

    Args:
        path: .png, .jpg, .jpeg or .webp.
        picture: what to write.
        quality: 1 to 100; None is 95 for JPEG (4:4:4) and lossless for WebP.
        compression: of PNG files, from 0 (fast) to 9 (small).

    Raises:
        FacehallError: another suffix; transparency in a JPEG (it is not flattened on some colour that nobody chose; an
            opaque alpha is dropped); or the disk refuses.
    """
    path = Path(path)
    picture = picture if isinstance(picture, Picture) else Picture(picture)
    if picture.rgb.dtype not in (np.uint8, np.uint16) or picture.rgb.ndim != 3 or picture.rgb.shape[2] != 3:
        raise ValueError(f"a picture is (H, W, 3) uint8 or uint16, not {picture.rgb.shape} {picture.rgb.dtype}")
    check_quality(quality, compression)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise FacehallError(
            f"{path} cannot be written: images are written as {', '.join(WRITABLE)}. Choose one of these suffixes."
        )
    if kind == "JPEG" and picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        raise FacehallError(
            f"{path} cannot be written: the picture has transparency, which JPEG cannot store. "
            "Write a .png or .webp instead."
        )
    try:
        if kind == "PNG":
            height, width = picture.rgb.shape[:2]
            write_png(path, (width, height), _strips(picture), picture.icc, _exif(picture), picture.dpi, compression)
            return
        with replacing(path) as partial:
            _image(picture, alpha=kind != "JPEG").save(partial, kind, **_options(kind, picture, quality))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FacehallError(f"The image {path} cannot be written: {reason}.") from error


def _strips(picture: Picture) -> Iterator[np.ndarray]:
    """The channels of a PNG file, (rows, W, 1 to 4)."""
    rgb = picture.rgb[..., :1] if picture.grey else picture.rgb
    for top in range(0, len(rgb), _ROWS):
        rows = slice(top, top + _ROWS)
        yield rgb[rows] if picture.alpha is None else np.dstack([rgb[rows], picture.alpha[rows]])


def _image(picture: Picture, alpha: bool) -> Image.Image:
    levels = picture.rgb[..., 0] if picture.grey else picture.rgb
    image = Image.fromarray(np.ascontiguousarray(eight_bits(levels)))
    if alpha and picture.alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(eight_bits(picture.alpha))))
    return image


def _options(kind: str, picture: Picture, quality: int | None) -> dict[str, Any]:
    """Pillow's, for one kind of file."""
    options: dict[str, Any] = {
        "JPEG": {"quality": 95 if quality is None else quality, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True} if quality is None else {"quality": quality, "method": 6},
    }[kind]
    exif = _exif(picture)
    if exif and not (kind == "JPEG" and len(exif) > _LONGEST_JPEG_EXIF):
        options["exif"] = exif
    if picture.icc and not (kind == "WEBP" and picture.grey):  # which becomes RGB, and its profile is for grey
        options["icc_profile"] = picture.icc
    if picture.dpi:
        options["dpi"] = picture.dpi
    return options


def _exif(picture: Picture) -> bytes | None:
    height, width = picture.rgb.shape[:2]
    return sized_exif(picture.exif, width, height) if picture.exif else None
