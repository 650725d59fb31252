"""Landmarks, parsing maps and identities out of files, checked: nothing is unpickled, every message names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facehall.errors import FacehallError

ANNOTATIONS = "data.annotations"


def read_object(path: Path, layout: str) -> dict[str, Any]:
    """The object of a JSON file.

    Args:
        layout: a sentence that says what is expected, for messages.

    Raises:
        FacehallError: the file is missing, is not JSON, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FacehallError(f"The annotations {path} cannot be read: {error.strerror}. Check {ANNOTATIONS}.") from error
    except ValueError as error:
        raise FacehallError(f"The annotations {path} are not JSON: {error}. {layout}") from error
    if not isinstance(found, dict):
        raise FacehallError(f"The annotations {path} hold a {type(found).__name__}, not an object. {layout}")
    return found


def as_landmarks(values: Any, where: str) -> np.ndarray:
    """Landmarks (N, 2) float32 out of a list [[x, y], …] or an array.

    Raises:
        FacehallError: another shape, or values that are not finite numbers.
    """
    try:
        points = np.asarray(values)
    except ValueError:  # rows of different lengths
        points = np.empty(0, object)
    if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise FacehallError(f"{where}: landmarks must be [[x, y], …], N pairs of numbers in pixels of the picture.")
    if not np.isfinite(points).all():
        raise FacehallError(f"{where}: landmarks must be finite numbers; remove the picture if they are not known.")
    return points.astype(np.float32)


def check_landmarks(points: np.ndarray, size: tuple[int, int], where: str) -> None:
    """See that landmarks can belong to a picture: a chin may be cut off, but wrong units lie far outside.

    Args:
        size: (height, width) of the picture.

    Raises:
        FacehallError: a point lies farther outside than the picture is wide or high, or more than half of them outside.
    """
    side = np.array([size[1], size[0]], np.float32)
    outside = ((points < -0.5) | (points > side - 0.5)).any(axis=1)
    far = ((points < -side) | (points > 2 * side)).any(axis=1)
    if far.any() or 2 * outside.sum() > len(points):
        worst = int(np.abs(points / side - 0.5).max(axis=1).argmax())
        x, y = points[worst]
        raise FacehallError(
            f"{where}: landmark {worst} at ({x:.1f}, {y:.1f}), {int(outside.sum())} of {len(points)} outside of the "
            f"{size[1]}x{size[0]} pixels of the picture. Landmarks are in pixels of the whole file, before any crop or "
            "size; check their unit, or remove the picture."
        )


def as_identity(value: Any, where: str) -> int:
    """A whole number from 0 on.

    Raises:
        FacehallError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**63:
        raise FacehallError(f"{where}: identity must be a whole number from 0 on, not {value!r}.")
    return int(value)


def read_parsing(path: Path, size: tuple[int, int], classes: int) -> np.ndarray:
    """A parsing map: a PNG file of grey levels or a palette, whose pixel values are the classes.

    Args:
        size: (height, width) of the picture.
        classes: how many the scheme has.

    Returns:
        (height, width) uint8.

    Raises:
        FacehallError: no such file, of another size, or with values beyond the scheme.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mode = image.mode
            parsing = np.array(image)  # of a palette the indices
    except FileNotFoundError:
        raise FacehallError(f"The parsing map {path} does not exist: add it, or remove its picture.") from None
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise FacehallError(f"The parsing map {path} cannot be read as PNG ({error}): write it again.") from error
    if parsing.dtype != np.uint8 or parsing.ndim != 2:
        raise FacehallError(
            f"The parsing map {path} is a PNG of mode {mode}; needed are 8 bits a pixel, grey or palette, whose values "
            "are class numbers."
        )
    if parsing.shape != size:
        height, width = parsing.shape
        raise FacehallError(
            f"The parsing map {path} has {width}x{height} pixels, its picture {size[1]}x{size[0]}: a map must have the "
            "size of the whole picture file, before any crop or size."
        )
    if parsing.max() >= classes:
        raise FacehallError(
            f"The parsing map {path} has a pixel of class {parsing.max()}, but its scheme has {classes} classes, "
            "numbered from 0: declare the right parsing_scheme."
        )
    return parsing
