"""From which size on may faces seen from the side be restored sharply? profiles.py PICTURES SHEET

PICTURES: folders of faces of 256 or 512 pixels in FFHQ's frame; those that the mesh finds turned by more than `TURNED`
degrees are used, reduced to each of `SIDES` as far as they are large enough. Degraded at random by
conf/degradation/mixed.yaml, they are restored with the weights of `facehall restore` and with the faithful ones.
Prints, by size, DISTS to the original of both and how often the sharp one is better; draws SHEET, to be looked at.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image

from facehall.cli.experiments import experiment_parser
from facehall.config.build import build
from facehall.data.degradations.base import recipe_of
from facehall.faces.mesh import FaceMesh, Square
from facehall.imaging import list_images, quantize, read_rgb, resize_bicubic, to_tensor, to_uint8, upscale_bicubic
from facehall.imaging.sheets import comparison_sheet
from facehall.inference.predictor import Predictor
from facehall.io.conf import conf_dir
from facehall.metrics.dists import DISTS

TURNED = 44.0
SIDES = (128, 64, 48, 32)
"""Of the LR faces."""
DRAWS = 2
FACE = (0.22, 0.3, 0.78, 0.9)
"""A face's box in FFHQ's frame."""
NAMES = {"faithful": "facehall-x4_psnr", "sharp": "facehall-x4"}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURES")
    parser.add_argument("sheet", type=Path, metavar="SHEET", help="an image file")
    options = parser.parse_args()
    mesh, judge = FaceMesh(), DISTS().eval()
    networks = {title: Predictor(name) for title, name in NAMES.items()}
    degradation = build(OmegaConf.load(conf_dir() / "degradation" / "mixed.yaml"), "degradation")
    rows, captions, found = [], [], defaultdict(list)
    for file in (file for folder in options.pictures for file in list_images(folder)):
        rgb = read_rgb(file)
        yaw = mesh(rgb, Square.of_box(*(len(rgb) * edge for edge in FACE))).yaw
        if abs(yaw) <= TURNED:
            continue
        for side in (side for side in SIDES if 4 * side <= len(rgb)):
            hr = quantize(resize_bicubic(to_tensor(rgb), (4 * side, 4 * side)))
            for draw in range(DRAWS):
                lr = degradation(hr, 4, recipe_of(f"{file.stem} {side}", draw, degradation, 4))
                results = {title: network.super_resolve(lr) for title, network in networks.items()}
                distances = [float(judge(sr[None], hr[None])) for sr in results.values()]
                found[side].append(distances)
                rows.append([to_uint8(image.clamp(0, 1)) for image in (upscale_bicubic(lr, 4), *results.values(), hr)])
                captions.append(
                    [f"{file.stem}, {yaw:.0f} degrees, {side} pixels", *(f"{value:.3f}" for value in distances), ""]
                )
    print("| pixels | faces | DISTS, faithful | DISTS, sharp | sharp is better |\n|---|---|---|---|---|")
    for side, distances in sorted(found.items()):
        faithful, sharp = (fmean(column) for column in zip(*distances, strict=True))
        better = np.mean([sharp < faithful for faithful, sharp in distances])
        print(f"| {side} | {len(distances)} | {faithful:.3f} | {sharp:.3f} | {better:.0%} |")
    Image.fromarray(comparison_sheet(rows, ["bicubic", *networks, "original"], captions, 256)).save(options.sheet)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
