"""A sheet of faces, the package's weights beside bicubic: faces.py SCALE FOLDER SIZE OUTPUT.jpg [jpeg=QUALITY] IMAGE…

python experiments/release/faces.py 4 FACES/test/london512 256 experiments/release/x4_worst.jpg 062_03 070_03
python experiments/release/faces.py 4 FACES/test/london512 256 experiments/release/x4_jpeg.jpg jpeg=75 003_03 007_03
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from facehall.data.degradations.jpeg import compress
from facehall.imaging import (
    comparison_sheet,
    downscale_bicubic,
    quantize,
    read_rgb,
    resize_bicubic,
    to_tensor,
    to_uint8,
    upscale_bicubic,
)
from facehall.inference import Predictor
from facehall.models.pretrained import names

QUALITY = 92


def panels(path: Path, size: int, predictors: list[Predictor], quality: int | None) -> list[np.ndarray]:
    """LR, stored as a JPEG of that quality, bicubic, each predictor's, HR of a square photograph reduced to `size`."""
    hr = quantize(resize_bicubic(to_tensor(read_rgb(path)), (size, size)))
    scale = predictors[0].scale
    lr = quantize(downscale_bicubic(hr, scale))
    if quality is not None:
        lr = compress(lr[None], [quality])[0]
    images = [lr, upscale_bicubic(lr, scale), *(predictor.super_resolve(lr) for predictor in predictors), hr]
    return [to_uint8(image) for image in images]


def main(scale: str, folder: str, size: str, output: str, *images: str) -> None:
    weights = [name for name in reversed(names()) if name.startswith(f"facehall-x{scale}")]
    predictors = [Predictor(name) for name in weights]
    quality = int(images[0].removeprefix("jpeg=")) if images[0].startswith("jpeg=") else None
    images = images if quality is None else images[1:]
    rows = [panels(next(Path(folder).glob(f"{name}.*")), int(size), predictors, quality) for name in images]
    captions = [[name, *[""] * (len(rows[0]) - 1)] for name in images]
    sheet = comparison_sheet(rows, ["LR", "bicubic", *weights, "HR"], captions)
    Image.fromarray(sheet).save(output, quality=QUALITY)


if __name__ == "__main__":
    main(*sys.argv[1:])
