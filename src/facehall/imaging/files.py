"""Image files, read whatever their kind: upright, with the depth, transparency and metadata that they have."""

from __future__ import annotations

import functools
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

    `rgb` is (H, W, 3) uint8 or uint16; `alpha` is (H, W) of the same depth where the file has transparency, else
    None; `grey` tells a single-channel file, whose three `rgb` channels are equal. `exif` (`read_exif`), `icc`, a
    colour profile that fits the pixels, and `dpi` are what comes along from file to file.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


# Not all that Pillow knows: it hands PostScript, whatever the file is called, to Ghostscript.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "PPM", "GIF"),
    *("AVIF", "JPEG2000", "TGA", "ICO", "PCX", "SGI"),
)
_CUT = re.compile(r"(?<!\w)(LA|RGBA?);16[BLN]")
"""Pillow's decoders that keep 8 of 16 bits."""

_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""How an array (H, W, …) of each EXIF orientation becomes upright."""


def read_rgb(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB; transparency is dropped and the colours beneath it are kept.

    16-bit channels are scaled to 8 bits (257 levels to one). Raises FacehallError as `read_picture` does.
    """
    return eight_bits(read_picture(path).rgb)


def read_picture(path: str | Path) -> Picture:
    """Decode an image file, turned upright by its EXIF orientation.

    Grey and RGB files of 16 bits a channel (PNG, TIFF) give uint16, all others uint8. Palettes, CMYK and the like
    become RGB. Of an animation or a file of several pages the first is read. Metadata that are damaged or do not fit
    are left out, see `conversions`. Raises FacehallError with the file and the reason when it is missing, empty,
    truncated, no image, or beyond Pillow's limit for decompression bombs.
    """
    with _opened(Path(path)) as image:
        cut = _CUT.search(str(image.tile))
        image.load()  # so that it is Pillow that tells what is damaged
        deep = _sixteen_bits(Path(path), grey=cut[1] == "LA") if cut else None
        return _picture(image, deep or _decode(image))


def from_pillow(image: Image.Image) -> Picture:
    """A Pillow image as if it had been read from a file; raises ValueError for grey levels of unknown range."""
    return _picture(image, _decode(image))


def read_size(path: str | Path) -> tuple[int, int]:
    """Upright width and height of an image file; raises FacehallError as `read_picture` does, if it notices."""
    with _opened(Path(path)) as image:
        (width, height), turn = image.size, orientation(image)
        return (height, width) if turn >= 5 else (width, height)


def peculiarities(path: str | Path) -> list[str]:
    """What `read_rgb` changes or drops of this file, in words; raises FacehallError as it does."""
    with _opened(Path(path)) as image:
        deep = "16" in image.mode or ";16" in str(image.tile)  # before the orientation is asked for: that may decode
        found = {
            "16 bits a channel, of which 8 are kept": deep,
            "transparency, dropped": image.has_transparency_data,
            "turned upright as its EXIF orientation says": orientation(image) > 1,
        }
        return _found(found | _of_any_reading(image))


def conversions(path: str | Path) -> list[str]:
    """What `read_picture` changes or drops of this file, in words; raises FacehallError as it does, if it notices."""
    with _opened(Path(path)) as image:
        found = _of_any_reading(image)
        image.load()  # PNG files may have their EXIF data behind the pixels
        grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
        try:
            read_exif(image)
            damaged = bool(image.info.get("exif")) and not image.getexif()
        except Exception:
            damaged = True
        icc = image.info.get("icc_profile")
        found["a colour profile that does not fit its pixels, dropped"] = bool(icc) and _fitting(icc, grey) is None
        found["damaged EXIF data, dropped"] = damaged
        return _found(found)


def _of_any_reading(image: Image.Image) -> dict[str, bool]:
    return {
        "CMYK, converted to RGB": image.mode == "CMYK",
        "a palette, converted to RGB": image.mode in ("P", "PA"),
        "several frames, of which the first is taken": getattr(image, "n_frames", 1) > 1,
    }


def _found(facts: dict[str, bool]) -> list[str]:
    return [name for name, there in facts.items() if there]


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)  # older Pillows lack some


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """The file, opened by Pillow; whatever goes wrong in the block becomes a paragraph that names it."""
    try:
        _check_kind(path)
        with Image.open(path, formats=_formats()) as image:
            yield image
    except FacehallError:
        raise
    except FileNotFoundError:
        raise FacehallError(f"The image {path} does not exist. Check the path.") from None
    except UnidentifiedImageError as error:
        raise FacehallError(
            f"{path} is not an image in any format that can be read, whatever its name says. Remove or replace it."
        ) from error
    except Image.DecompressionBombError as error:
        raise FacehallError(
            f"The image {path} has too many pixels: {error} Shrink it or cut it into pieces."
        ) from error
    except Exception as error:
        # Damaged bytes make decoders raise almost anything, from OSError to struct.error and IndexError.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FacehallError(
            f"The image {path} cannot be read: {reason.rstrip('.')}. Copy it again or remove it."
        ) from error


def _check_kind(path: Path) -> None:
    """A pipe would be waited for, a device read for ever."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FacehallError(f"{path} is a folder, not an image.")
    if not stat.S_ISREG(status.st_mode):
        raise FacehallError(f"{path} is a pipe or a device, not an image file. Leave it out.")
    if status.st_size == 0:
        raise FacehallError(f"The image {path} is empty (0 bytes). Copy it again or remove it.")


def _picture(image: Image.Image, pixels: Picture) -> Picture:
    """The pixels upright, with the metadata of the file that they come from."""
    turn = _TURNS[orientation(image)]
    alpha = None if pixels.alpha is None else np.ascontiguousarray(turn(pixels.alpha))
    try:
        exif = read_exif(image)
    except Exception:  # see `orientation`
        exif = None
    icc = _fitting(image.info.get("icc_profile"), pixels.grey)
    rgb = np.ascontiguousarray(turn(pixels.rgb))
    return Picture(rgb, alpha, pixels.grey, exif, icc, _resolution(image.info.get("dpi")))


def _fitting(icc: Any, grey: bool) -> bytes | None:
    """A colour profile if it is one and is for such pixels (ICC.1, the header's colour space and signature)."""
    fits = isinstance(icc, bytes) and len(icc) > 128 and icc[36:40] == b"acsp"
    return icc if fits and icc[16:20] == (b"GRAY" if grey else b"RGB ") else None


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    usable = all(math.isfinite(value) and 1 <= value < 65535 for value in (across, down))
    return (across, down) if usable else None


def _sixteen_bits(path: Path, grey: bool) -> Picture | None:
    """The pixels of a file by OpenCV, which keeps 16 bits of colour; None where it does not understand the file."""
    data = np.fromfile(path, np.uint8)
    levels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 3 or levels.shape[2] not in (3, 4):
        return None
    alpha = levels[..., 3] if levels.shape[2] == 4 else None
    return Picture(levels[..., 2::-1], alpha, grey)


def _decode(image: Image.Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        levels = _whole_levels(np.asarray(image))
        key = image.info.get("transparency")
        alpha = np.where(levels == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
        return _grey(levels, alpha)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return _grey(np.asarray(image.convert("L")))
    if not image.has_transparency_data:
        return Picture(np.array(image.convert("RGB")))
    rgba = np.array(image.convert("RGBA"))
    grey = image.mode in ("1", "L", "LA", "La")
    return Picture(rgba[..., :3].copy(), rgba[..., 3].copy(), grey)


def _grey(levels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    return Picture(np.repeat(levels[..., None], 3, axis=2), alpha, grey=True)


def _whole_levels(levels: np.ndarray) -> np.ndarray:
    """16-bit levels, in whichever wider type Pillow hands them out, as uint16."""
    if levels.dtype.kind == "f" or levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its grey levels are not 8- or 16-bit, and what is black or white in it is not known")
    return levels.astype(np.uint16)
