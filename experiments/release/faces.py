"""A sheet of faces, bicubic and the bundled weights: faces.py SCALE FOLDER SIZE OUTPUT.jpg IMAGE… [--jpeg QUALITY]

python experiments/release/faces.py 4 FACES/test/london512 256 experiments/release/x4_london.jpg 001_03 002_03
python experiments/release/faces.py 4 FACES/test/london512 256 experiments/release/x4_jpeg.jpg 003_03 007_03 --jpeg 40
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facehall.cli.experiments import experiment_parser
from facehall.data.degradations.jpeg import Jpeg
from facehall.data.degradations.steps import Sizes
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
from facehall.models.pretrained import bundled_names

QUALITY = 92


def panels(path: Path, size: int, predictors: list[Predictor], quality: int | None) -> list[np.ndarray]:
    """Return LR (as a JPEG of `quality`, if given), bicubic, each SR, and HR of a square photo downscaled to `size`."""
    hr = quantize(resize_bicubic(to_tensor(read_rgb(path)), (size, size)))
    scale = predictors[0].scale
    lr = quantize(downscale_bicubic(hr, scale))
    if quality is not None:
        side = (lr.shape[1], lr.shape[2])
        stored = Jpeg(quality).apply(lr.permute(1, 2, 0).numpy(), Sizes(side, side))
        lr = torch.from_numpy(stored).permute(2, 0, 1)
    images = [lr, upscale_bicubic(lr, scale), *(predictor.super_resolve(lr) for predictor in predictors), hr]
    return [to_uint8(image) for image in images]


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("scale", type=int)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of square photographs")
    parser.add_argument("size", type=int, metavar="SIZE", help="size to downscale to, in pixels")
    parser.add_argument("output", metavar="OUTPUT.jpg")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="names of photographs, without extension")
    parser.add_argument("--weights", nargs="+", metavar="NAME", help="default: all of the scale in the package")
    parser.add_argument("--jpeg", type=int, metavar="QUALITY", help="compress the LR image as JPEG")
    options = parser.parse_args()
    bundled = [name for name in reversed(bundled_names()) if name.startswith(f"facehall-x{options.scale}")]
    weights = options.weights or bundled
    predictors = [Predictor(name) for name in weights]
    paths = [next(options.folder.glob(f"{name}.*")) for name in options.images]
    rows = [panels(path, options.size, predictors, options.jpeg) for path in paths]
    captions = [[name, *[""] * (len(rows[0]) - 1)] for name in options.images]
    sheet = comparison_sheet(rows, ["LR", "bicubic", *weights, "HR"], captions)
    Image.fromarray(sheet).save(options.output, quality=QUALITY)


if __name__ == "__main__":
    main()
