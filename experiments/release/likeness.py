"""Is a tiny face enlarged by x8 the same person? likeness.py FACES [WEIGHTS …]

FACES: faces of at least 128 pixels in FFHQ's frame that no test uses; their mirror images count, too. Each is reduced
to 16 pixels and enlarged by each of WEIGHTS (packaged names, or NAME=FILE). Beside them stands bicubic from 16 to 48
pixels: what so many real pixels are worth to each network. Writes likeness.csv: PSNR, and for each network the mean
similarity of result and original and the share above its threshold (one in 1,000 pairs of different persons).
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from device_faces import read_folder, unit
from facehall.cli.experiments import experiment_parser
from facehall.faces.recognition import RECOGNISERS, Recogniser
from facehall.imaging import downscale_bicubic, quantize, resize_bicubic
from facehall.io.progress import progress_bar
from facehall.metrics.faces import mesh_of
from facehall.models.pretrained import WEIGHTS_FOLDER
from facehall.models.weights import load_generator

HERE = Path(__file__).parent
SIDE, SCALE = 128, 8
SIDES = (16, 20, 24, 28, 32, 40, 48)
PACKAGED = ("facehall-x8_psnr", "facehall-x8", "facehall-x8_aligned_psnr", "facehall-x8_aligned")
Enlarge = Callable[[Tensor], Tensor]
"""HR faces (B, 3, 128, 128) -> what is left of them."""


def from_pixels(side: int) -> Enlarge:
    """Reduce to a side and enlarge again by bicubic."""
    return lambda hr: resize_bicubic(quantize(resize_bicubic(hr, (side, side))), (SIDE, SIDE))


def by_weights(path: Path) -> Enlarge:
    """Reduce by x8 and enlarge with weights."""
    generator = load_generator(path).eval()
    return lambda hr: torch.cat([generator(lr[None]) for lr in quantize(downscale_bicubic(hr, SCALE))])


@torch.inference_mode()
def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("weights", nargs="*", default=PACKAGED, metavar="WEIGHTS")
    options = parser.parse_args()
    hr = quantize(resize_bicubic(unit(read_folder(options.faces)[1]), (SIDE, SIDE)))
    hr = torch.cat((hr, hr.flip(-1)))
    five = torch.stack([torch.from_numpy(mesh_of(image).five) for image in hr])
    networks = {name: Recogniser(name) for name in RECOGNISERS}
    known = {name: network(hr, five) for name, network in networks.items()}
    systems = {f"bicubic from {side} pixels": from_pixels(side) for side in SIDES}
    for weights in options.weights:
        name, _, file = weights.partition("=")
        systems[name] = by_weights(Path(file) if file else WEIGHTS_FOLDER / f"{name}.safetensors")
    rows = []
    with progress_bar("comparing", len(systems)) as advance:
        for name, enlarge in systems.items():
            sr = quantize(enlarge(hr))
            error = (sr - hr)[..., SCALE:-SCALE, SCALE:-SCALE].square().mean((1, 2, 3))
            row = {"system": name, "psnr": f"{-10 * error.log10().mean():.2f}"}
            for each, network in networks.items():
                alike = network.similarity(network(sr, five), known[each])
                row[each] = f"{alike.mean():.3f}"
                row[f"{each}_verified"] = f"{100 * (alike >= network.kind.threshold).float().mean():.0f}"
            rows.append(row)
            advance()
    with (HERE / "likeness.csv").open("w", newline="", encoding="utf-8") as file_:
        writer = csv.DictWriter(file_, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
