"""Read and validate landmarks, parsing maps and identities. Nothing is unpickled; every message names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facehall.errors import FacehallError

ANNOTATIONS = "data.annotations"


def read_object(path: Path, layout: str) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Args:
        layout: sentence describing the expected content, for messages.

    Raises:
        FacehallError: the file is missing, is not JSON, or its top level is not an object.
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
    """Convert a list [[x, y], …] or an array to landmarks, (N, 2) float32.

    Raises:
        FacehallError: wrong shape, or values that are not finite numbers.
    """
    try:
        points = np.asarray(values)
    except ValueError:  # rows of different lengths
        points = np.empty(0, object)
    if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise FacehallError(f"{where}: landmarks must be [[x, y], …], N pairs of numbers in picture pixels.")
    if not np.isfinite(points).all():
        raise FacehallError(f"{where}: landmarks must be finite numbers; remove the picture if they are unknown.")
    return points.astype(np.float32)


def check_landmarks(points: np.ndarray, size: tuple[int, int], where: str) -> None:
    """Check that landmarks are plausible: a chin may be cropped, but wrong units put points far outside.

    Args:
        size: (height, width) of the picture.

    Raises:
        FacehallError: a point lies more than one picture width or height outside, or over half of the points lie
            outside.
    """
    side = np.array([size[1], size[0]], np.float32)
    outside = ((points < -0.5) | (points > side - 0.5)).any(axis=1)
    far = ((points < -side) | (points > 2 * side)).any(axis=1)
    if far.any() or 2 * outside.sum() > len(points):
        worst = int(np.abs(points / side - 0.5).max(axis=1).argmax())
        x, y = points[worst]
        raise FacehallError(
            f"{where}: landmark {worst} is at ({x:.1f}, {y:.1f}); {int(outside.sum())} of {len(points)} lie outside "
            f"its {size[1]}x{size[0]} pixels. Landmarks are in pixels of the whole file, before any crop or "
            "resize: check their unit, or remove the picture."
        )


def as_identity(value: Any, where: str) -> int:
    """Return a validated identity, a non-negative integer.

    Raises:
        FacehallError: the value is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**63:
        raise FacehallError(f"{where}: identity must be a non-negative integer, not {value!r}.")
    return int(value)


def read_parsing(path: Path, size: tuple[int, int], classes: int) -> np.ndarray:
    """Read a parsing map: an 8-bit greyscale or palette PNG whose pixel values are class numbers.

    Args:
        size: (height, width) of the picture.
        classes: number of classes in the scheme.

    Returns:
        (height, width) uint8.

    Raises:
        FacehallError: the file is missing or unreadable, has another size, or has values outside the scheme.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mode = image.mode
            parsing = np.array(image)  # palette indices for a palette image
    except FileNotFoundError:
        raise FacehallError(f"The parsing map {path} does not exist: add it, or remove its picture.") from None
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise FacehallError(f"The parsing map {path} cannot be read as PNG ({error}): save it again.") from error
    if parsing.dtype != np.uint8 or parsing.ndim != 2:
        raise FacehallError(
            f"The parsing map {path} is a PNG of mode {mode}; it must be 8-bit greyscale or palette, with class "
            "numbers as pixel values."
        )
    if parsing.shape != size:
        height, width = parsing.shape
        raise FacehallError(
            f"The parsing map {path} has {width}x{height} pixels, its picture {size[1]}x{size[0]}: a map must match "
            "the whole picture file, before any crop or resize."
        )
    if parsing.max() >= classes:
        raise FacehallError(
            f"The parsing map {path} has a pixel of class {parsing.max()}, but its scheme has {classes} classes, "
            "numbered from 0: declare the correct parsing_scheme."
        )
    return parsing
