"""Image file decoding: upright, with bit depth, transparency and metadata preserved."""

from __future__ import annotations

import functools
import io
import math
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from facehall.errors import FacehallError
from facehall.imaging.exif import orientation, read_exif
from facehall.imaging.levels import eight_bits


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    `rgb` is (H, W, 3) uint8 or uint16; `alpha` is (H, W) of the same dtype if the file has transparency, else None;
    `grey` marks a single-channel file, whose three `rgb` channels are equal. `exif` (see `read_exif`), `icc` (a colour
    profile that matches the pixels) and `dpi` are the metadata copied to output files.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


# An allow-list, because Pillow passes PostScript, whatever the file is called, to Ghostscript.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "PPM", "GIF"),
    *("AVIF", "JPEG2000", "TGA", "ICO", "PCX", "SGI"),
)
_TRUNCATING_DECODERS = re.compile(r"(?<!\w)(LA|RGBA?);16[BLN]")
"""Pillow's decoders that reduce 16 bits to 8."""

_TO_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""EXIF orientation -> function that turns an array (H, W, …) upright."""


def read_rgb(path: str | Path) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8 RGB; transparency is dropped without changing the colours.

    16-bit channels are scaled to 8 bits (257 levels to one). Raises FacehallError as `read_picture` does.
    """
    return eight_bits(read_picture(path).rgb)


def read_picture(path: str | Path) -> Picture:
    """Decode an image file and apply its EXIF orientation.

    Grey and RGB files with 16 bits per channel (PNG, TIFF) give uint16, all others uint8. Palettes, CMYK and similar
    modes are converted to RGB. Only the first frame or page is read. Metadata that is damaged or does not match is
    dropped, see `conversions`.

    Raises:
        FacehallError: if the file is missing, empty, truncated, not an image, or exceeds Pillow's limit for
            decompression bombs.
    """
    with _open_image(Path(path)) as image:
        return _read(image, lambda: np.fromfile(path, np.uint8))


def decode_picture(data: bytes, name: str) -> Picture:
    """Decode the content of an image file as `read_picture` does; `name` is what messages call it."""
    with _open_image(name, data) as image:
        return _read(image, lambda: np.frombuffer(data, np.uint8))


def decode_size(data: bytes, name: str) -> tuple[int, int]:
    """Read width and height from the header in the content of an image file, before its EXIF orientation is applied.

    Nothing is decoded, unlike in `read_size`: the orientation of a PNG file may follow its pixels.
    """
    with _open_image(name, data) as image:
        return image.size


def _read(image: ImageFile.ImageFile, content: Callable[[], np.ndarray]) -> Picture:
    truncating = _TRUNCATING_DECODERS.search(str(image.tile))
    image.load()  # first, so that damaged files get Pillow's error message
    deep = _decode_16_bit(content(), grey=truncating[1] == "LA") if truncating else None
    return _picture(image, deep or _decode(image))


def from_pillow(image: Image.Image) -> Picture:
    """Convert a Pillow image as if it were read from a file; raise ValueError for grey levels of unknown range."""
    return _picture(image, _decode(image))


def read_size(path: str | Path) -> tuple[int, int]:
    """Read the upright width and height from an image file's header.

    Raises FacehallError as `read_picture` does, except for damage beyond the header.
    """
    with _open_image(Path(path)) as image:
        (width, height), turn = image.size, orientation(image)
        return (height, width) if turn >= 5 else (width, height)


def rgb_conversions(path: str | Path) -> list[str]:
    """Describe what `read_rgb` changes or drops in this file; raises FacehallError as `read_rgb` does."""
    with _open_image(Path(path)) as image:
        deep = "16" in image.mode or ";16" in str(image.tile)  # must precede `orientation`, which may decode
        found = {
            "16 bits per channel, reduced to 8": deep,
            "transparency, dropped": image.has_transparency_data,
            "an EXIF orientation, applied": orientation(image) > 1,
        }
        return _true_keys(found | _common_conversions(image))


def conversions(path: str | Path) -> list[str]:
    """Describe what `read_picture` changes or drops in this file; raises FacehallError as `read_picture` does."""
    with _open_image(Path(path)) as image:
        found = _common_conversions(image)
        image.load()  # in PNG files, EXIF data may follow the pixels
        grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
        try:
            read_exif(image)
            damaged = bool(image.info.get("exif")) and not image.getexif()
        except Exception:
            damaged = True
        icc = image.info.get("icc_profile")
        mismatched = bool(icc) and _matching_profile(icc, grey) is None
        found["a colour profile that does not match its pixels, dropped"] = mismatched
        found["damaged EXIF data, dropped"] = damaged
        return _true_keys(found)


def _common_conversions(image: Image.Image) -> dict[str, bool]:
    return {
        "CMYK, converted to RGB": image.mode == "CMYK",
        "a palette, converted to RGB": image.mode in ("P", "PA"),
        "several frames, only the first is used": getattr(image, "n_frames", 1) > 1,
    }


def _true_keys(facts: dict[str, bool]) -> list[str]:
    return [name for name, applies in facts.items() if applies]


@functools.cache
def _available_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)  # older versions of Pillow lack some


@contextmanager
def _open_image(path: Path | str, data: bytes | None = None) -> Iterator[ImageFile.ImageFile]:
    """Open a file, or the content `data` of one, with Pillow; convert any exception in the block to a FacehallError
    that names the file.
    """
    try:
        if data is None:
            _check_regular_file(Path(path))
        with Image.open(path if data is None else io.BytesIO(data), formats=_available_formats()) as image:
            yield image
    except FacehallError:
        raise
    except FileNotFoundError:
        raise FacehallError(f"The image {path} does not exist. Check the path.") from None
    except UnidentifiedImageError as error:
        raise FacehallError(
            f"{path} is not an image in a supported format, whatever its suffix. Remove or replace it."
        ) from error
    except Image.DecompressionBombError as error:
        raise FacehallError(f"The image {path} has too many pixels: {error} Shrink it or split it.") from error
    except Exception as error:
        # Decoders raise almost any exception on damaged data, from OSError to struct.error and IndexError.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FacehallError(
            f"The image {path} cannot be read: {reason.rstrip('.')}. Copy it again or remove it."
        ) from error


def _check_regular_file(path: Path) -> None:
    """Reject pipes and devices, which would block or never end, folders and empty files."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FacehallError(f"{path} is a folder, not an image.")
    if not stat.S_ISREG(status.st_mode):
        raise FacehallError(f"{path} is a pipe or a device, not an image file. Remove it from the input.")
    if status.st_size == 0:
        raise FacehallError(f"The image {path} is empty (0 bytes). Copy it again or remove it.")


def _picture(image: Image.Image, pixels: Picture) -> Picture:
    """Turn decoded pixels upright and add the metadata of their file."""
    turn = _TO_UPRIGHT[orientation(image)]
    alpha = None if pixels.alpha is None else np.ascontiguousarray(turn(pixels.alpha))
    try:
        exif = read_exif(image)
    except Exception:  # see `orientation`
        exif = None
    icc = _matching_profile(image.info.get("icc_profile"), pixels.grey)
    rgb = np.ascontiguousarray(turn(pixels.rgb))
    return Picture(rgb, alpha, pixels.grey, exif, icc, _resolution(image.info.get("dpi")))


def _matching_profile(icc: Any, grey: bool) -> bytes | None:
    """Return the ICC profile if it is valid and for such pixels (ICC.1: colour space and signature in the header)."""
    fits = isinstance(icc, bytes) and len(icc) > 128 and icc[36:40] == b"acsp"
    return icc if fits and icc[16:20] == (b"GRAY" if grey else b"RGB ") else None


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    usable = all(math.isfinite(value) and 1 <= value < 65535 for value in (across, down))
    return (across, down) if usable else None


def _decode_16_bit(content: np.ndarray, grey: bool) -> Picture | None:
    """Decode a file's bytes with OpenCV, which preserves 16-bit colour; return None if OpenCV cannot read it."""
    levels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 3 or levels.shape[2] not in (3, 4):
        return None
    alpha = levels[..., 3] if levels.shape[2] == 4 else None
    return Picture(levels[..., 2::-1], alpha, grey)


def _decode(image: Image.Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        levels = _as_uint16(np.asarray(image))
        key = image.info.get("transparency")
        alpha = np.where(levels == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
        return _grey(levels, alpha)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return _grey(np.asarray(image.convert("L")))
    if not image.has_transparency_data:
        return Picture(np.array(image if image.mode == "RGB" else image.convert("RGB")))  # convert would copy
    rgba = np.array(image.convert("RGBA"))
    grey = image.mode in ("1", "L", "LA", "La")
    return Picture(rgba[..., :3].copy(), rgba[..., 3].copy(), grey)


def _grey(levels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    return Picture(np.repeat(levels[..., None], 3, axis=2), alpha, grey=True)


def _as_uint16(levels: np.ndarray) -> np.ndarray:
    """Convert 16-bit levels, which Pillow returns in wider types, to uint16."""
    if levels.dtype.kind == "f" or levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its grey levels are not 8- or 16-bit, so their range is unknown")
    return levels.astype(np.uint16)
