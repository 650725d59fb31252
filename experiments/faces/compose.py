"""Compose photographs with known faces.

    python experiments/faces/compose.py LANDSCAPES FACES OUT

Eight faces each, rotated by up to 15 degrees and reduced to crops of 24 to 128 pixels, are blended at random places
that do not overlap into landscapes of 1280 pixels. OUT gets NAME.png and truth.json: name -> [[size, x, y], …], where
x, y is the middle.
"""

from __future__ import annotations

import cmath
import json
import math
from pathlib import Path

import numpy as np

from facehall.cli.experiments import experiment_parser
from facehall.faces.alignment import Similarity, Spline
from facehall.imaging import list_images, read_rgb, resize_bicubic, to_levels, to_tensor, write_picture

SIZES = (24, 32, 40, 48, 64, 96, 128)
PER_PHOTO = 8
LONG_SIDE = 1280


def reduce(rgb: np.ndarray, long_side: int) -> np.ndarray:
    """Resize so that the longer side is `long_side`; (H, W, 3) uint8."""
    factor = long_side / max(rgb.shape[:2])
    size = (round(rgb.shape[0] * factor), round(rgb.shape[1] * factor))
    return to_levels(resize_bicubic(to_tensor(rgb), size))


def paste(photo: np.ndarray, face: np.ndarray, size: int, left: int, top: int, degrees: float) -> None:
    """Blend a face, reduced to a crop of size x size, into the square whose corner is (left, top), in place."""
    small = to_tensor(reduce(face, size)).permute(1, 2, 0).numpy()
    turn = cmath.rect(1, math.radians(degrees))
    middle = complex(size / 2, size / 2)
    turned = Spline.of(small).sample(Similarity(turn, middle - turn * middle), (size, size))
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    opacity = np.clip((1 - np.maximum(np.abs(x), np.abs(y))) / 0.1, 0, 1)[..., None]
    region = photo[top : top + size, left : left + size]
    region[:] = np.clip(np.rint(region * (1 - opacity) + 255 * turned * opacity), 0, 255)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("landscapes", type=Path, metavar="LANDSCAPES", help="folder of photographs without people")
    parser.add_argument("faces", type=Path, metavar="FACES", help="folder of aligned faces")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the photographs")
    parser.add_argument("--count", type=int, default=40, help="number of photographs (40)")
    options = parser.parse_args()
    faces = list_images(options.faces)
    random = np.random.default_rng(16)
    truth: dict[str, list[tuple[int, float, float]]] = {}
    for index, file in enumerate(list_images(options.landscapes)[: options.count]):
        photo = reduce(read_rgb(file), LONG_SIDE)
        taken: list[tuple[int, int, int]] = []
        while len(taken) < PER_PHOTO:
            size = SIZES[(index * PER_PHOTO + len(taken)) % len(SIZES)]
            left, top = (int(random.integers(0, side - size)) for side in (photo.shape[1], photo.shape[0]))
            if any(
                abs(left + size / 2 - x - s / 2) < (size + s) / 2 > abs(top + size / 2 - y - s / 2) for s, x, y in taken
            ):
                continue
            face = read_rgb(faces[int(random.integers(len(faces)))])
            paste(photo, face, size, left, top, float(random.uniform(-15, 15)))
            taken.append((size, left, top))
        name = f"{index:02d}.png"
        write_picture(options.out / name, photo, compression=1)
        truth[name] = [(size, left + size / 2, top + size / 2) for size, left, top in taken]
    (options.out / "truth.json").write_text(json.dumps(truth, indent=0))


if __name__ == "__main__":
    main()
