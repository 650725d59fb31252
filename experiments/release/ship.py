"""Put weights into the package, in half precision: ship.py WEIGHTS NAME ABOUT.

python experiments/release/ship.py runs/…/weights/generator_ema.safetensors facehall-x4 "x4, faces: sharp"
"""

from __future__ import annotations

from pathlib import Path

import torch

from facehall.cli.experiments import experiment_parser
from facehall.models.pretrained import WEIGHTS_FOLDER
from facehall.models.weights import load_generator, read_metadata, save_generator

BUILDS = {"target", "arguments"}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("source", type=Path, metavar="WEIGHTS", help="a file that a training wrote")
    parser.add_argument("name", metavar="NAME", help="in the package")
    parser.add_argument("about", metavar="ABOUT", help="a line for `facehall weights`")
    options = parser.parse_args()
    path, name = options.source, options.name
    origin = {key: value for key, value in read_metadata(path).items() if key not in BUILDS}
    shipped = WEIGHTS_FOLDER / f"{name}.safetensors"
    save_generator(shipped, load_generator(path), {**origin, "about": options.about}, dtype=torch.float16)
    print(f"{shipped.name}: {shipped.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
