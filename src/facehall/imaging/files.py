"""Image files: find them, read them whatever their kind, write them so that none is ever half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from facehall.atomic import replacing
from facehall.errors import FacehallError

#: File name endings (in lower case) that `list_images` takes for images.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    `rgb` is (H, W, 3) uint8 or uint16; `alpha` is (H, W) of the same depth where the file has transparency, else
    None; `grey` tells a single-channel file, whose three `rgb` channels are equal. `exif`, upright and without a
    thumbnail, `icc`, a colour profile that fits the pixels, and `dpi` are what comes along from file to file.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


class _Format(NamedTuple):
    name: str
    options: dict[str, Any]
    alpha: bool


_ORIENTATION = 0x0112  # EXIF tag; 1 is upright, 5 to 8 stand for quarter turns
_JPEG = _Format("JPEG", {"quality": 95, "subsampling": 0}, alpha=False)
_FORMATS = {
    ".png": _Format("PNG", {}, alpha=True),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _Format("WEBP", {"lossless": True, "exact": True}, alpha=True),
}


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


def read_rgb(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB; transparency is dropped and the colours beneath it are kept.

    Raises FacehallError as `read_picture` does.
    """
    return read_picture(path).rgb


def read_picture(path: str | Path) -> Picture:
    """Decode an image file of any kind that Pillow knows, turned upright by its EXIF orientation.

    Palettes, CMYK and the like become RGB; 16-bit grey is scaled to 8 bits (257 levels to one). Of an
    animation or a file of several pages the first is read. Colour profiles are ignored. Raises FacehallError
    with the file and the reason when it is missing, empty, truncated, no image, or beyond Pillow's limit for
    decompression bombs.
    """
    path = Path(path)
    with _named_errors(path), Image.open(path) as image:
        image.load()
        return _decode(ImageOps.exif_transpose(image))


def read_size(path: str | Path) -> tuple[int, int]:
    """Upright width and height of an image file; raises FacehallError as `read_picture` does, if it notices."""
    path = Path(path)
    with _named_errors(path), Image.open(path) as image:
        (width, height), orientation = image.size, image.getexif().get(_ORIENTATION, 1)
        return (height, width) if orientation >= 5 else (width, height)


def peculiarities(path: str | Path) -> list[str]:
    """What `read_picture` changes or drops of this file, in words; raises FacehallError as it does."""
    path = Path(path)
    with _named_errors(path), Image.open(path) as image:
        deep = "16" in image.mode or ";16" in str(image.tile)  # before the orientation is asked for: that may decode
        found = {
            "16 bits a channel, of which 8 are kept": deep,
            "CMYK, converted to RGB": image.mode == "CMYK",
            "a palette, converted to RGB": image.mode in ("P", "PA"),
            "transparency, dropped": image.has_transparency_data,
            "turned upright as its EXIF orientation says": image.getexif().get(_ORIENTATION, 1) > 1,
            "several frames, of which the first is taken": getattr(image, "n_frames", 1) > 1,
        }
    return [name for name, there in found.items() if there]


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into a paragraph that names it."""
    try:
        if path.stat().st_size == 0:
            raise FacehallError(f"The image {path} is empty (0 bytes). Copy it again or remove it.")
        yield
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
        raise FacehallError(f"The image {path} cannot be read: {reason}. Copy it again or remove it.") from error


def _decode(image: Image.Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        return _grey(_eight_bits(np.asarray(image)))
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return _grey(np.asarray(image.convert("L")))
    if not image.has_transparency_data:
        return Picture(np.array(image.convert("RGB")))
    rgba = np.array(image.convert("RGBA"))
    grey = image.mode in ("1", "L", "LA", "La")
    return Picture(rgba[..., :3].copy(), rgba[..., 3].copy(), grey)


def _grey(levels: np.ndarray) -> Picture:
    return Picture(np.repeat(levels[..., None], 3, axis=2), grey=True)


def _eight_bits(levels: np.ndarray) -> np.ndarray:
    """16-bit levels, in whichever wider type Pillow hands them out, as 8-bit ones."""
    if levels.dtype.kind == "f" or levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its grey levels are not 8- or 16-bit, and what is black or white in it is not known")
    return np.rint(levels / 257.0).astype(np.uint8)


def write_picture(path: str | Path, picture: Picture | np.ndarray) -> None:
    """Write a Picture or an (H, W, 3) uint8 array; the suffix decides: PNG, JPEG (quality 95, 4:4:4), lossless WebP.

    Grey pictures become single-channel files (not in WebP, which has none). The file appears whole or not at
    all; missing folders are made. Raises FacehallError for another suffix, for transparency in a JPEG (it is
    not flattened on some colour that nobody chose; an opaque alpha is dropped) and when the disk refuses.
    """
    path = Path(path)
    picture = picture if isinstance(picture, Picture) else Picture(picture)
    if picture.rgb.dtype != np.uint8 or picture.rgb.ndim != 3 or picture.rgb.shape[2] != 3:
        raise ValueError(f"a picture is (H, W, 3) uint8, not {picture.rgb.shape} {picture.rgb.dtype}")
    target = _FORMATS.get(path.suffix.lower())
    if target is None:
        raise FacehallError(
            f"{path} cannot be written: images are written as {', '.join(_FORMATS)}. Choose one of these suffixes."
        )
    image = Image.fromarray(np.ascontiguousarray(picture.rgb[..., 0] if picture.grey else picture.rgb))
    if picture.alpha is not None and (target.alpha or picture.alpha.min() < 255):
        if not target.alpha:
            raise FacehallError(
                f"{path} cannot be written: the picture has transparency, which {target.name} cannot store. "
                "Write a .png or .webp instead."
            )
        image.putalpha(Image.fromarray(picture.alpha))
    _write(path, image, target)


def _write(path: Path, image: Image.Image, target: _Format) -> None:
    try:
        with replacing(path) as partial:
            image.save(partial, target.name, **target.options)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FacehallError(f"The image {path} cannot be written: {reason}.") from error
