"""Write training faces at several sizes, some of them turned: faces_at_sizes.py FACES OUTPUT

FACES holds folders of square photographs; those of `SETS` that exist are used. A network for any face of a photograph
should see faces of more than one size, and a photograph that was turned before its reduction is almost another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from device_faces import random_turns, sample
from facehall.cli.experiments import experiment_parser
from facehall.imaging import list_images, read_rgb, resize_bicubic, to_tensor, to_uint8
from facehall.imaging.writing import write_picture


@dataclass(frozen=True)
class Copies:
    """How the faces of a folder are written.

    Attributes:
        sides: one copy for each; those of the picture's own side are not resampled.
        turned: how many of these copies, the last ones, are turned by up to 8 degrees.
        limit: number of faces, evenly over the folder; None takes all.
    """

    sides: Sequence[int]
    turned: int = 0
    limit: int | None = None


SETS = {
    "celebahq512": Copies((224, 256, 288, 320, 368, 256, 272), turned=2),
    "ffhq256": Copies((256, 216)),
    "celeba_fm96": Copies((96,), limit=700),
    "utk128": Copies((96,), limit=600),
    "lfw128": Copies((112,), limit=400),
}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder in which a sub-folder for each set is made")
    options = parser.parse_args()
    torch.manual_seed(0)
    for name, copies in SETS.items():
        if not (options.faces / name).is_dir():
            continue
        paths = list_images(options.faces / name)
        chosen = np.linspace(0, len(paths) - 1, min(len(paths), copies.limit or len(paths))).round().astype(int)
        (options.output / name).mkdir(parents=True, exist_ok=True)
        for index in chosen:
            picture = to_tensor(read_rgb(paths[index]))
            full = picture.shape[-1]
            for number, side in enumerate(copies.sides):
                found = picture
                if number >= len(copies.sides) - copies.turned:
                    turn = random_turns(1, full, 8, 0.05, 6, found.device)
                    found = sample(found[None], turn, full)[0][0]
                if side != full:
                    found = resize_bicubic(found, (side, side))
                write_picture(options.output / name / f"{paths[index].stem}_{number}.png", to_uint8(found))
        print(name, len(chosen) * len(copies.sides))


if __name__ == "__main__":
    main()
