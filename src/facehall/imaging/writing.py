"""Pictures as files that are there whole or not at all."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from facehall.errors import FacehallError
from facehall.imaging.exif import sized_exif
from facehall.imaging.files import Picture, eight_bits
from facehall.io.atomic import replacing

_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
WRITABLE = tuple(_KINDS)
"""File name endings, in lower case, of what can be written."""
_LONGEST_JPEG_EXIF = 65533  # bytes: a segment of a JPEG file holds no more
_INCH = 0.0254  # metres


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

    Grey pictures become single-channel files (not in WebP, which has none, nor in PNG of 16 bits with transparency).
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
        with replacing(path) as partial:
            if kind == "PNG" and picture.rgb.dtype == np.uint16:
                partial.write_bytes(_deep_png(picture, compression))
            else:
                _image(picture, alpha=kind != "JPEG").save(
                    partial, kind, **_options(kind, picture, quality, compression)
                )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FacehallError(f"The image {path} cannot be written: {reason}.") from error


def _image(picture: Picture, alpha: bool) -> Image.Image:
    levels = picture.rgb[..., 0] if picture.grey else picture.rgb
    image = Image.fromarray(_eight(levels))
    if alpha and picture.alpha is not None:
        image.putalpha(Image.fromarray(_eight(picture.alpha)))
    return image


def _eight(levels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(levels if levels.dtype == np.uint8 else eight_bits(levels))


def _options(kind: str, picture: Picture, quality: int | None, compression: int) -> dict[str, Any]:
    """Pillow's, for one kind of file."""
    options: dict[str, Any] = {
        "PNG": {"compress_level": compression},
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


def _deep_png(picture: Picture, compression: int) -> bytes:
    """A PNG file of 16 bits a channel: OpenCV's, because Pillow writes none, with the metadata put in."""
    if picture.alpha is not None:
        levels = np.dstack([picture.rgb[..., ::-1], picture.alpha])
    else:
        levels = picture.rgb[..., 0] if picture.grey else picture.rgb[..., ::-1]
    written, data = cv2.imencode(".png", np.ascontiguousarray(levels), [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not written:
        raise ValueError("OpenCV refuses it")
    header, rest = (
        data[:33].tobytes(),
        data[33:].tobytes(),
    )  # the signature and IHDR: the profile comes before the pixels
    grey_profile = picture.grey and picture.alpha is not None  # stored as RGBA, as OpenCV has no grey with transparency
    chunks = []
    if picture.icc and not grey_profile:
        chunks.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc)))
    if picture.dpi:
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / _INCH) for dpi in picture.dpi), 1)))
    if exif := _exif(picture):
        chunks.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    return b"".join([header, *chunks, rest])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
