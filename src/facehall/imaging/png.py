"""Streaming PNG writer: row by row, so that images may exceed memory, with 8 or 16 bits per channel.

As fast as Pillow, which cannot write 16-bit colour, and OpenCV, which cannot write metadata or grey with alpha; both
need the whole image in memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facehall.io.atomic import replacing

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_ROWS = 64
"""Rows filtered at a time: the filters' intermediate arrays take eight times the memory of the rows."""
_INCH = 0.0254
"""Metres per inch."""


def write_png(
    path: Path,
    size: tuple[int, int],
    strips: Iterable[np.ndarray],
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    compression: int = 6,
) -> None:
    """Atomically write a PNG file, see `encode_png`.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if the strips do not add up to `size`, or `size` is empty.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        encode_png(file, size, strips, icc, exif, dpi, compression)


def encode_png(
    file: BinaryIO,
    size: tuple[int, int],
    strips: Iterable[np.ndarray],
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    compression: int = 6,
) -> None:
    """Write a PNG image (ISO/IEC 15948) from strips of rows.

    Args:
        file: where to write.
        size: width and height in pixels.
        strips: (rows, W, C) uint8 or uint16, from the top; C is 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA.
        icc: a colour profile to embed.
        exif: EXIF data, with or without the "Exif" prefix of JPEG files.
        dpi: pixels per inch, horizontal and vertical.
        compression: from 0 (fast) to 9 (small).

    Raises:
        ValueError: if the strips do not add up to `size`, or `size` is empty.
    """
    width, height = size
    if min(size) < 1:
        raise ValueError(f"an image has at least one pixel, not {width}x{height}")
    previous: np.ndarray | None = None
    compress = zlib.compressobj(compression, strategy=zlib.Z_FILTERED)
    written = 0
    for strip in strips:
        if strip.shape[1] != width:
            raise ValueError(f"a strip is {strip.shape}, but the image is {width} wide")
        if previous is None:
            _write_header(file, size, strip)
            _write_metadata(file, icc, exif, dpi)
            previous = np.zeros((width, strip.shape[2] * strip.itemsize), np.uint8)
        for top in range(0, len(strip), _ROWS):
            rows = _big_endian_bytes(strip[top : top + _ROWS])
            _chunk(file, b"IDAT", compress.compress(_filter_rows(rows, previous)))
            previous = rows[-1]
        written += len(strip)
    if written != height:
        raise ValueError(f"got {written} of {height} rows")
    _chunk(file, b"IDAT", compress.flush())
    _chunk(file, b"IEND", b"")


def _write_header(file: BinaryIO, size: tuple[int, int], strip: np.ndarray) -> None:
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", *size, 8 * strip.itemsize, _COLOUR_TYPES[strip.shape[2]], 0, 0, 0))


def _write_metadata(file: BinaryIO, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None) -> None:
    """Write the chunks that precede the pixels."""
    if icc:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi:
        _chunk(file, b"pHYs", struct.pack(">IIB", *(round(number / _INCH) for number in dpi), 1))
    if exif:
        _chunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    if data or kind != b"IDAT":
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _big_endian_bytes(rows: np.ndarray) -> np.ndarray:
    """Convert (rows, W, C) to big-endian bytes, (rows, W, bytes per pixel) uint8."""
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder(">"))
    return rows.view(np.uint8).reshape(*rows.shape[:2], -1)


def _filter_rows(rows: np.ndarray, previous: np.ndarray) -> bytes:
    """Encode each row with the Sub, Up or Paeth filter of the least absolute sum, preceded by the filter type."""
    above = np.concatenate([previous[None], rows[:-1]])
    left = np.pad(rows, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    corner = np.pad(above, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    types = np.array([1, 2, 4], np.uint8)
    candidates = np.stack([rows - left, rows - above, rows - _paeth(left, above, corner)])
    sizes = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=(2, 3))
    best = sizes.argmin(axis=0)
    chosen = candidates[best, np.arange(len(rows))].reshape(len(rows), -1)
    return np.concatenate([types[best][:, None], chosen], axis=1).tobytes()


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Return the Paeth predictor: the neighbour nearest to left + above - corner, ties broken in this order."""
    a, b, c = (array.astype(np.int16) for array in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    upper = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, upper)
