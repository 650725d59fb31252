"""Put weights into the package, in half precision: ship.py WEIGHTS NAME ABOUT.

python experiments/release/ship.py runs/…/weights/generator_ema.safetensors facehall-x4 "x4, faces: sharp"
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from facehall.models.pretrained import FOLDER
from facehall.models.weights import load_generator, read_metadata, save_generator

BUILDS = {"target", "arguments"}


def main(source: str, name: str, about: str) -> None:
    path = Path(source)
    origin = {key: value for key, value in read_metadata(path).items() if key not in BUILDS}
    shipped = FOLDER / f"{name}.safetensors"
    save_generator(shipped, load_generator(path), {**origin, "about": about}, dtype=torch.float16)
    print(f"{shipped.name}: {shipped.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
