"""Putting restored faces into a photograph without a seam: only their rectangles are computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from facehall.faces.alignment import FACE_IN_CROP, Similarity, Spline, bounds
from facehall.imaging import Picture, resize_bicubic, to_tensor, upscale_bicubic
from facehall.inference.restoration.planning import PlannedFace

LOW_FREQUENCIES = 1 / 8
"""Standard deviation, relative to the face, of the Gaussian that separates what the photograph decides (light and
colour) from what the restored face does."""
CONTEXT = 4
"""Input pixels around a rectangle that bicubic takes into account; it needs two."""


@dataclass(frozen=True)
class Patch:
    """A restored face, ready to be blended into any rows of the output.

    Attributes:
        rectangle: left, top, right, bottom in output pixels.
        to_patch: output -> pixels of `layers`.
        layers: (n, n, 4): the three channels and the opacity. The channels are the difference to bicubic enlargement
            of the crop, if `relative`, else the restored face itself.
        relative: whether the channels are added to the bicubically enlarged photograph.
    """

    rectangle: tuple[int, int, int, int]
    to_patch: Similarity
    layers: Spline
    opacity: Spline
    relative: bool


def patch(face: PlannedFace, crop: Tensor, restored: Tensor, mask: Tensor, scale: int, size: tuple[int, int]) -> Patch:
    """Prepare a restored face for pasting.

    Its low frequencies are replaced by those of the crop, so that neither light nor colour changes at the seam. At the
    photograph's own resolution only the difference to the enlarged crop is pasted: a restorer that changes nothing then
    changes nothing in the photograph either, and detail that resampling the crop would lose is kept.

    Args:
        face: where it is.
        crop: (3, n, n), what was restored.
        restored: (3, m, m).
        mask: (n, n) from 0 to 1.
        scale: output pixels per photograph pixel.
        size: height and width of the output.
    """
    side = face.side * face.reduction * scale  # one pixel of the patch is about one of the output
    # Clamped as the network's output is: overshoot at hard edges is no change.
    enlarged = resize_bicubic(crop, (restored.shape[-2], restored.shape[-1])).clamp(0, 1)
    change = restored - enlarged
    change = change - low_frequencies(change)
    relative = face.reduction == 1
    image = _reduced(change if relative else enlarged + change, side)
    to_patch = face.to_crop.scaled(before=scale, after=side)
    left, top, right, bottom = bounds(to_patch, side)
    rectangle = (
        max(0, math.floor(left)),
        max(0, math.floor(top)),
        min(size[1], math.ceil(right)),
        min(size[0], math.ceil(bottom)),
    )
    opacity = resize_bicubic(mask, (side, side)).clamp(0, 1)
    return Patch(
        rectangle,
        to_patch,
        Spline.of(image.permute(1, 2, 0).numpy()),
        Spline.of(opacity[..., None].numpy()),
        relative,
    )


def low_frequencies(image: Tensor) -> Tensor:
    """Return the Gaussian low-pass of (3, m, m), computed at reduced resolution."""
    side = image.shape[-1]
    sigma = LOW_FREQUENCIES * FACE_IN_CROP * side
    factor = max(1, int(sigma / 4))
    small = max(2, round(side / factor))
    array = cv2.resize(image.permute(1, 2, 0).numpy(), (small, small), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(array, (0, 0), sigma * small / side, borderType=cv2.BORDER_REFLECT)
    return resize_bicubic(torch.from_numpy(blurred).permute(2, 0, 1), (side, side))


def blend(strip: np.ndarray, top: int, patch: Patch, picture: Picture, scale: int) -> None:
    """Blend a patch into rows of the output, in place.

    Args:
        strip: (rows, W, C) float32 in [0, 1]; C is 1 for grey pictures, else 3.
        top: the first row's place in the output.
        patch: see `patch`.
        picture: the photograph.
        scale: output pixels per photograph pixel.
    """
    left, first, right, last = patch.rectangle
    first, last = max(first, top), min(last, top + len(strip))
    if first >= last or left >= right:
        return
    shifted = Similarity(patch.to_patch.rotation, patch.to_patch.shift + patch.to_patch.rotation * complex(left, first))
    shape = (last - first, right - left)
    opacity = _inside(patch.opacity.sample(shifted, shape), shifted, patch)
    values = patch.layers.sample(shifted, shape)
    if patch.relative:
        values = values + enlarged_region(picture, scale, left, first, right, last)
    if strip.shape[2] == 1:
        values = values.mean(axis=2, keepdims=True)
    region = strip[first - top : last - top, left:right]
    region += opacity * (np.clip(values, 0, 1) - region)


def enlarged_region(picture: Picture, scale: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Return a rectangle of the bicubically enlarged photograph, in output pixels; (h, w, 3) float32, not clamped."""
    height, width = picture.rgb.shape[:2]
    context = CONTEXT if scale > 1 else 0
    x, y = max(0, left // scale - context), max(0, top // scale - context)
    x_end, y_end = min(width, -(-right // scale) + context), min(height, -(-bottom // scale) + context)
    enlarged = upscale_bicubic(to_tensor(picture.rgb[y:y_end, x:x_end]), scale)
    rows, columns = slice(top - y * scale, bottom - y * scale), slice(left - x * scale, right - x * scale)
    return enlarged[:, rows, columns].permute(1, 2, 0).numpy()


def _inside(opacity: np.ndarray, to_patch: Similarity, patch: Patch) -> np.ndarray:
    """Clear what lies outside of the crop, where the spline repeats its mirror image."""
    rows, columns = opacity.shape[:2]
    side = patch.opacity.coefficients.shape[-1]
    y, x = np.mgrid[:rows, :columns] + 0.5
    a, b = to_patch.rotation, to_patch.shift
    u, v = a.real * x - a.imag * y + b.real, a.imag * x + a.real * y + b.imag
    within = (u > 0) & (u < side) & (v > 0) & (v < side)
    return np.clip(opacity, 0, 1) * within[..., None]


def _reduced(image: Tensor, side: int) -> Tensor:
    return image if image.shape[-1] == side else resize_bicubic(image, (side, side))
