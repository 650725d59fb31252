"""JPEG, written and read again: by OpenCV's codec on one picture, by the same arithmetic in torch on a batch.

Baseline JPEG (ITU-T T.81) with chroma halved in both directions (4:2:0), as cameras and websites store photographs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facehall.data.degradations.steps import Sizes, Step, register

# T.81, tables K.1 and K.2.
_LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
_CHROMINANCE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99"""
_TABLES = np.array([[*_LUMINANCE.split()], [*_CHROMINANCE.split(), *["99"] * 32]], dtype=np.float64).reshape(2, 8, 8)
# JFIF: BT.601 luma with full swing, and scaled colour differences.
_TO_YCC = [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
_HALF = 0.5 + 1e-4  # float sums may fall a digit short of a half
_TO_RGB = [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]]
_MCU = 16  # pixels: a block of halved chroma


@register
@dataclass(frozen=True)
class Jpeg(Step):
    """Round to 8 bits, compress, decompress.

    Args:
        quality: 1 to 100, on the scale of the Independent JPEG Group.
        corner: rows and columns, 0 to 15, by which the first blocks begin before the picture does, as they do in a
            patch that is cut of a photograph: if all began with the patch, a network could count them from its border.
    """

    op = "jpeg"
    quality: int
    corner: Sequence[int] = (0, 0)

    def single(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        top, left = self.corner
        height, width = image.shape[:2]
        image = cv2.copyMakeBorder(image, top, _MCU - top, left, _MCU - left, cv2.BORDER_REPLICATE)
        levels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
        settings = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        _, code = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), settings)
        decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[top : top + height, left : left + width]
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.float32) / 255

    @staticmethod
    def batched(steps: Sequence[Jpeg], images: Tensor, sizes: Sizes) -> Tensor:
        height, width = images.shape[-2:]
        corners = [step.corner for step in steps]
        sheets = [
            F.pad(image, (left, _MCU - left, top, _MCU - top), mode="replicate")
            for image, (top, left) in zip(images, corners, strict=True)
        ]
        decoded = compress(torch.stack(sheets), [step.quality for step in steps])
        return torch.stack(
            [
                sheet[:, top : top + height, left : left + width]
                for sheet, (top, left) in zip(decoded, corners, strict=True)
            ]
        )


def draw_jpeg(rng: np.random.Generator, quality: Sequence[float]) -> Jpeg:
    """Any quality of the range, both ends included, its blocks beginning anywhere."""
    drawn = int(rng.integers(int(quality[0]), int(quality[1]), endpoint=True))
    return Jpeg(drawn, rng.integers(_MCU, size=2).tolist())


def compress(images: Tensor, qualities: Sequence[int]) -> Tensor:
    """(N, 3, h, w) in [0, 1], a quality each -> the same on 8-bit levels behind JPEG.

    Not bit-exact: the codec's transform rounds in integers, this one in floats.
    """
    height, width = images.shape[-2:]
    tables = _quantization(qualities).to(images)
    ycc = _mix(images.clamp(0, 1).mul(255).round(), _TO_YCC)
    luma = _code(ycc[:, :1].round() - 128, tables[:, :1])
    sums = 4 * F.avg_pool2d(_extend(ycc[:, 1:].round(), 2), 2)
    bias = 1 + torch.arange(sums.shape[-1], device=images.device) % 2  # the codec's, so that halves go up and down
    halves = (sums + bias).div(4).floor()
    chroma = F.interpolate(_code(halves, tables[:, 1:]), scale_factor=2, mode="bilinear", align_corners=False)
    ycc = torch.cat((luma + 128, chroma[..., :height, :width].round()), 1)
    return _mix(ycc, _TO_RGB).round().clamp(0, 255).div(255)


def _code(planes: Tensor, tables: Tensor) -> Tensor:
    """Planes (N, c, h, w) around 0 through the cosine transform, quantised by tables (N, 1, 8, 8)."""
    height, width = planes.shape[-2:]
    blocks = _extend(planes, 8)
    size = blocks.shape
    blocks = blocks.unflatten(-2, (-1, 8)).unflatten(-1, (-1, 8)).transpose(-3, -2)  # (N, c, rows, columns, 8, 8)
    cosines, tables = _cosines().to(planes), tables[:, :, None, None]
    levels = cosines @ blocks @ cosines.T / tables
    # Halves are common in flat blocks. The codec takes them away from zero here and up behind the inverse.
    levels = levels.sign() * (levels.abs() + _HALF).floor()
    decoded = (cosines.T @ (levels * tables) @ cosines + _HALF).floor().clamp(-128, 127)
    return decoded.transpose(-3, -2).reshape(size)[..., :height, :width]


def _extend(planes: Tensor, multiple: int) -> Tensor:
    """To the right and downwards by the last pixel, to multiples of `multiple`."""
    height, width = planes.shape[-2:]
    return F.pad(planes, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def _mix(images: Tensor, matrix: list[list[float]]) -> Tensor:
    return torch.einsum("ij,njhw->nihw", images.new_tensor(matrix), images)


def _cosines() -> Tensor:
    """The orthonormal DCT-II of 8 points."""
    k = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * k[:, None] * (k + 0.5)) / 2
    rows[0] /= math.sqrt(2)
    return rows.float()


def _quantization(qualities: Sequence[int]) -> Tensor:
    """(N, 2, 8, 8) of luminance and chrominance, scaled as the Independent JPEG Group does."""
    percent = np.array([5000 // q if q < 50 else 200 - 2 * q for q in qualities]).reshape(-1, 1, 1, 1)
    return torch.from_numpy(((_TABLES * percent + 50) // 100).clip(1, 255)).float()
