"""JPEG compression with OpenCV's codec.

Baseline JPEG (ITU-T T.81) with 4:2:0 chroma subsampling, as cameras and websites store photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facehall.data.degradations.steps import Sizes, Step, register

_MCU = 16  # side in pixels of a minimum coded unit with 4:2:0 subsampling


@register
@dataclass(frozen=True)
class Jpeg(Step):
    """Round to 8 bits, compress, decompress.

    Args:
        quality: 1 to 100, on the Independent JPEG Group's scale.
        corner: rows and columns, 0 to 15, by which the block grid starts before the picture, as in a patch cropped
            from a photograph. With a fixed grid, a network could infer block positions from the patch border.
    """

    op = "jpeg"
    quality: int
    corner: Sequence[int] = (0, 0)

    def apply(self, image: np.ndarray, sizes: Sizes) -> np.ndarray:
        top, left = self.corner
        height, width = image.shape[:2]
        image = cv2.copyMakeBorder(image, top, _MCU - top, left, _MCU - left, cv2.BORDER_REPLICATE)
        levels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
        settings = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        _, code = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), settings)
        decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[top : top + height, left : left + width]
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def draw_jpeg(rng: np.random.Generator, quality: Sequence[float]) -> Jpeg:
    """Draw a quality from the inclusive range and a random block offset."""
    drawn = int(rng.integers(int(quality[0]), int(quality[1]), endpoint=True))
    return Jpeg(drawn, rng.integers(_MCU, size=2).tolist())
