"""Everything but the faces: the photograph enlarged strip by strip, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from facehall.errors import FacehallError
from facehall.imaging import Picture, to_tensor, upscale_bicubic
from facehall.inference.predictor import Predictor
from facehall.inference.restoration.pasting import enlarged_region
from facehall.models.pretrained import FAST_SCALE

WEIGHTS, FAST, BICUBIC, NONE = "weights", "fast", "bicubic", "none"
BACKGROUNDS = (WEIGHTS, FAST, BICUBIC, NONE)
STRIP_PIXELS = 2**21
"""Output pixels of a bicubic strip."""

Advance = Callable[[int], None]


class Strip(NamedTuple):
    """Rows of the output from `top` on: (rows, W, C) float32 in [0, 1], C 1 for grey pictures, else 3."""

    top: int
    pixels: np.ndarray


def check_background(background: str | None, scale: int) -> str:
    """Return a valid background; None: that of the weights for enlargements, else none.

    Raises:
        FacehallError: unknown, ``none`` for an enlargement, or ``fast`` for one of more than 4.
    """
    if background is None:
        return NONE if scale == 1 else BICUBIC
    if background not in BACKGROUNDS:
        raise FacehallError(f"background={background}: must be {', '.join(BACKGROUNDS)}.")
    if background == NONE and scale > 1:
        raise FacehallError(
            f"background=none leaves all pixels but the faces as they are and needs scale=1, not {scale}. Use bicubic."
        )
    if background == FAST and FAST_SCALE % scale:
        raise FacehallError(
            f"background=fast enlarges by {FAST_SCALE} at most, not by {scale}. Use weights or bicubic."
        )
    return background


def strips(
    picture: Picture, background: str, scale: int, predictor: Predictor, advance: Advance | None = None
) -> Iterator[Strip]:
    """Enlarge a picture without its alpha channel.

    Args:
        picture: the photograph.
        background: one of BACKGROUNDS; the pixels of networks are averaged where their scale is a multiple.
        scale: output pixels per input pixel.
        predictor: for ``weights`` and ``fast``.
        advance: called with the number of input pixels done.
    """
    if background in (WEIGHTS, FAST):
        yield from _by_weights(picture, scale, predictor, advance)
    else:
        yield from _by_bicubic(picture, scale, advance)


def _by_weights(picture: Picture, scale: int, predictor: Predictor, advance: Advance | None) -> Iterator[Strip]:
    top, factor = 0, predictor.scale // scale
    for strip in predictor.strips(replace(picture, alpha=None), advance):
        pixels = strip.astype(np.float32) / np.iinfo(strip.dtype).max
        if factor > 1:
            rows, columns, channels = pixels.shape
            pixels = pixels.reshape(rows // factor, factor, columns // factor, factor, channels).mean(axis=(1, 3))
        yield Strip(top, pixels)
        top += len(pixels)


def _by_bicubic(picture: Picture, scale: int, advance: Advance | None) -> Iterator[Strip]:
    height, width = picture.rgb.shape[:2]
    rows = max(1, STRIP_PIXELS // (width * scale**2))
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels = enlarged_region(picture, scale, 0, top * scale, width * scale, bottom * scale).clip(0, 1)
        yield Strip(top * scale, pixels[..., :1] if picture.grey else pixels)
        if advance is not None:
            advance((bottom - top) * width)


def enlarged_alpha(alpha: np.ndarray, scale: int, top: int, bottom: int) -> np.ndarray:
    """Return rows of the bicubically enlarged alpha channel as levels of its own dtype, (rows, W)."""
    if scale == 1:
        return alpha[top:bottom]
    first, last = max(0, top // scale - 4), min(len(alpha), -(-bottom // scale) + 4)
    levels = upscale_bicubic(to_tensor(alpha[first:last, :, None]), scale)[
        0, top - first * scale : bottom - first * scale
    ]
    return np.rint(levels.clamp(0, 1).numpy() * np.iinfo(alpha.dtype).max).astype(alpha.dtype)
