"""Atomic writing of image files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from facehall.errors import FacehallError
from facehall.imaging.exif import sized_exif
from facehall.imaging.files import Picture
from facehall.imaging.levels import eight_bits
from facehall.imaging.png import encode_png
from facehall.io.atomic import replacing

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
WRITABLE = tuple(_FORMATS)
"""File suffixes, in lower case, that can be written."""
_MAX_JPEG_EXIF = 65533  # bytes: the limit of a JPEG segment
_ROWS = 256  # rows of a PNG file that are interleaved with alpha at a time


def check_quality(quality: int | None, compression: int) -> None:
    """Raise FacehallError unless these are valid for `write_picture`."""
    if quality is not None and not 1 <= quality <= 100:
        raise FacehallError(f"quality={quality}: must be from 1 to 100, for JPEG and WebP files.")
    if not 0 <= compression <= 9:
        raise FacehallError(f"compression={compression}: must be from 0 (fast) to 9 (small), for PNG files.")


def write_picture(
    path: str | Path, picture: Picture | np.ndarray, quality: int | None = None, compression: int = 6
) -> None:
    """Atomically write a Picture with its metadata, or an array (H, W, 3) uint8 or uint16; the suffix sets the format.

    Grey pictures become single-channel files (except WebP, which has no such mode). 16 bits per channel are preserved
    in PNG and rounded to 8 in other formats. Missing folders are created.

    Args:
        path: .png, .jpg, .jpeg or .webp.
        picture: the image to write.
        quality: 1 to 100; None is 95 for JPEG (4:4:4) and lossless for WebP.
        compression: of PNG files, from 0 (fast) to 9 (small).

    Raises:
        FacehallError: if the suffix is not supported, a picture with transparency would become a JPEG (an opaque alpha
            channel is dropped; others are not flattened, as the background colour is unknown), or writing fails.
    """
    path = Path(path)
    picture = picture if isinstance(picture, Picture) else Picture(picture)
    format_name = _check(path, picture, quality, compression)
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            _encode(file, format_name, picture, quality, compression)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FacehallError(f"The image {path} cannot be written: {reason}.") from error


def encode_picture(picture: Picture, suffix: str, quality: int | None = None, compression: int = 6) -> bytes:
    """Return the content of the file that `write_picture` would write with this suffix.

    Raises:
        FacehallError: as `write_picture` does; also if the picture is too large for the format.
    """
    name = Path(f"picture{suffix}")
    format_name = _check(name, picture, quality, compression)
    content = io.BytesIO()
    try:
        _encode(content, format_name, picture, quality, compression)
    except (OSError, ValueError) as error:
        raise FacehallError(f"The picture cannot be stored as {suffix}: {error}. Choose another format.") from error
    return content.getvalue()


def _check(path: Path, picture: Picture, quality: int | None, compression: int) -> str:
    """Return Pillow's name of the format after checking the arguments of `write_picture`."""
    if picture.rgb.dtype not in (np.uint8, np.uint16) or picture.rgb.ndim != 3 or picture.rgb.shape[2] != 3:
        raise ValueError(f"a picture is (H, W, 3) uint8 or uint16, not {picture.rgb.shape} {picture.rgb.dtype}")
    check_quality(quality, compression)
    format_name = _FORMATS.get(path.suffix.lower())
    if format_name is None:
        raise FacehallError(
            f"{path} cannot be written: images are written as {', '.join(WRITABLE)}. Choose one of these suffixes."
        )
    if format_name == "JPEG" and picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        raise FacehallError(
            f"{path} cannot be written: the picture has transparency, which JPEG cannot store. "
            "Write a .png or .webp instead."
        )
    return format_name


def _encode(file: BinaryIO, format_name: str, picture: Picture, quality: int | None, compression: int) -> None:
    if format_name == "PNG":
        height, width = picture.rgb.shape[:2]
        encode_png(file, (width, height), _strips(picture), picture.icc, _exif(picture), picture.dpi, compression)
    else:
        image = _image(picture, alpha=format_name != "JPEG")
        image.save(file, format_name, **_options(format_name, picture, quality))


def _strips(picture: Picture) -> Iterator[np.ndarray]:
    """Yield strips of a PNG file's channels, (rows, W, 1 to 4)."""
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


def _options(format_name: str, picture: Picture, quality: int | None) -> dict[str, Any]:
    """Return Pillow's save options for a format."""
    options: dict[str, Any] = {
        "JPEG": {"quality": 95 if quality is None else quality, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True} if quality is None else {"quality": quality, "method": 6},
    }[format_name]
    exif = _exif(picture)
    if exif and not (format_name == "JPEG" and len(exif) > _MAX_JPEG_EXIF):
        options["exif"] = exif
    if picture.icc and not (
        format_name == "WEBP" and picture.grey
    ):  # WebP stores RGB, which a grey profile does not match
        options["icc_profile"] = picture.icc
    if picture.dpi:
        options["dpi"] = picture.dpi
    return options


def _exif(picture: Picture) -> bytes | None:
    height, width = picture.rgb.shape[:2]
    return sized_exif(picture.exif, width, height) if picture.exif else None
