"""What the server does with a picture: bytes in, bytes out, nothing on disk."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from facehall.errors import FacehallError
from facehall.imaging import Picture, decode_picture, decode_size, encode_picture
from facehall.web.engine import Advance, Engine, Options

FORMATS = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
"""Formats of results, and their media types."""
BACKGROUND = {None: None, "0": False, "1": True}
"""Values of the option of this name; None: left out."""
_MEGA = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What the server accepts.

    Attributes:
        bytes: of a file.
        pixels: of a picture and of its result.
        jobs: pictures that may be uploaded, waiting, in work or being sent back.
        connections: open connections; further ones are told to come back later.
    """

    bytes: int = 40 * _MEGA
    pixels: int = 64 * _MEGA
    jobs: int = 6
    connections: int = 32


@dataclass(frozen=True)
class Reply:
    """The answer to a request: plain values, and the content of a file."""

    fields: dict[str, Any]
    content: bytes = b""


def parse_options(query: Mapping[str, str], engine: Engine) -> tuple[Options, str]:
    """Read the options of a request and the format of its result.

    Raises:
        FacehallError: if one is missing or wrong.
    """
    scale = _parsed(query, "scale", int)
    if scale not in engine.scales:
        raise FacehallError(f"scale={scale}: choose one of {', '.join(map(str, engine.scales))}.")
    fidelity = _parsed(query, "fidelity", float) if query.get("fidelity") else None
    if fidelity is not None and not engine.scales[scale]:
        raise FacehallError(f"fidelity={fidelity}: these weights offer no choice at x{scale}. Leave it out.")
    if fidelity is not None and not 0 <= fidelity <= 1:
        raise FacehallError(f"fidelity={fidelity}: must be from 0 (sharp) to 1 (faithful).")
    # The page has ten steps. Others are rounded, as every fidelity is a network of its own.
    fidelity = None if fidelity is None else round(fidelity, 1)
    kind = query.get("format", "png")
    if kind not in FORMATS:
        raise FacehallError("format: choose one of " + ", ".join(FORMATS) + ".")
    background = query.get("background")
    if background not in BACKGROUND:
        raise FacehallError("background: must be 0 or 1.")
    return Options(scale, fidelity, _parse_faces(query.get("faces")), BACKGROUND[background]), kind


def find_faces(engine: Engine, content: bytes, name: str, limits: Limits) -> Reply:
    """Find the faces of an image file.

    Raises:
        FacehallError: if it is not a readable picture or exceeds the limits.
    """
    picture = _decode(content, name, limits, 1)
    height, width = picture.rgb.shape[:2]
    faces = [asdict(face) for face in engine.faces(picture)]
    return Reply({"width": width, "height": height, "faces": faces})


def restore(
    engine: Engine, content: bytes, name: str, limits: Limits, options: Options, kind: str, advance: Advance
) -> Reply:
    """Restore an image file.

    Args:
        name: what messages call the picture.
        kind: format of the result, one of `FORMATS`.
        advance: see `facehall.web.engine.Advance`.

    Raises:
        FacehallError: if it is not a readable picture, exceeds the limits, or cannot be restored.
    """
    picture = _decode(content, name, limits, options.scale)
    result = engine.restore(picture, options, advance)
    height, width = result.rgb.shape[:2]
    quality = 95 if kind == "jpg" else None
    return Reply({"width": width, "height": height, "type": FORMATS[kind]}, encode_picture(result, f".{kind}", quality))


def _decode(content: bytes, name: str, limits: Limits, scale: int) -> Picture:
    """Decode a picture after a look at its header, which is all that a small file with many pixels gets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # about sizes, for which the limit is this one
        width, height = decode_size(content, name)
    pixels = width * height
    if pixels * scale**2 > limits.pixels:
        enlarged = f", and {pixels * scale**2 / _MEGA:.1f} when enlarged {scale} times" if scale > 1 else ""
        raise FacehallError(
            f"{name} has {width} x {height} pixels, {pixels / _MEGA:.1f} megapixels{enlarged}; this page takes up to "
            f"{limits.pixels / _MEGA:g}. Choose a smaller scale, crop or reduce the picture, or use the command "
            "facehall upscale, which has no limit."
        )
    return decode_picture(content, name)


def _parsed(query: Mapping[str, str], key: str, parse: type[int] | type[float]) -> Any:
    text = query.get(key, "")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or (parse is int and "." in text):
        raise FacehallError(f"{key}: must be a number.")
    return parse(text)


def _parse_faces(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not re.fullmatch(r"none|[0-9]{1,4}(,[0-9]{1,4})*", text):
        raise FacehallError("faces: must be numbers separated by commas, or none.")
    return () if text == "none" else tuple(sorted({int(number) for number in text.split(",")}))
