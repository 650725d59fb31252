"""Restored faces of real photographs beside bicubic and Real-ESRGAN, to be looked at: real.py PHOTOS OUTPUT

PHOTOS is a folder. Every face that `facehall restore` restores is a row: the aligned crop at the resolution at which it
is restored, enlarged by bicubic, by realesrgan-x4plus and by the weights. Writes sheet_1.jpg, … and faces.csv; the
photographs may not be published.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facehall.cli.experiments import experiment_parser
from facehall.imaging import list_images, read_picture, to_uint8, upscale_bicubic
from facehall.imaging.sheets import comparison_sheet
from facehall.inference.photographs import PhotoRestorer
from facehall.inference.restoration.judging import load_helpers
from facehall.systems.real_esrgan import RealESRGAN

ROWS = 6
"""Faces on a sheet."""
CELL = 448
"""Side of a picture on it, in pixels."""


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder")
    parser.add_argument("--weights", nargs="+", default=["facehall-x4"], metavar="NAME", help="one column each")
    parser.add_argument("--smallest", type=int, default=48, help="side of a crop below which faces are left out")
    parser.add_argument("--scale", type=int, default=4, help="of facehall restore; 1: soft faces only")
    options = parser.parse_args()
    options.output.mkdir(parents=True)
    peer = RealESRGAN("realesrgan-x4plus", 4)
    checks = load_helpers()
    restorers = [PhotoRestorer(name, scale=options.scale, **checks) for name in options.weights]
    titles = ["input, bicubic", "realesrgan-x4plus", *options.weights]
    rows: list[list[np.ndarray]] = []
    captions: list[list[str]] = []
    with (options.output / "faces.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["photograph", "face", "crop", "reduction", *options.weights, "peer_seconds"])
        for path in list_images(options.photos):
            picture = read_picture(path)
            found = restorers[0].find(picture)
            done = [restorer.prepare(picture, found).faces for restorer in restorers]
            by_number = [{face.report.plan.number: face for face in faces} for faces in done]
            for face in sorted(done[0], key=lambda each: each.report.plan.number):
                plan = face.report.plan
                if plan.side < options.smallest:
                    continue
                started = time.perf_counter()
                theirs = peer.upscale(face.crop)
                seconds = time.perf_counter() - started
                ours = [faces.get(plan.number) for faces in by_number]
                blank = torch.ones_like(theirs)
                panels = [upscale_bicubic(face.crop, 4), theirs, *(each.restored if each else blank for each in ours)]
                actions = [each.report.action if each else "left" for each in ours]
                rows.append([shown(panel) for panel in panels])
                where = f"{path.stem[:28]} {plan.number}: {plan.side} px, 1/{plan.reduction}"
                captions.append([where, "", *actions])
                table.writerow([path.name, plan.number, plan.side, plan.reduction, *actions, f"{seconds:.1f}"])
                file.flush()
    for start in range(0, len(rows), ROWS):
        sheet = comparison_sheet(rows[start : start + ROWS], titles, captions[start : start + ROWS], CELL)
        Image.fromarray(sheet).save(options.output / f"sheet_{start // ROWS + 1}.jpg", quality=92)


def shown(image: Tensor) -> np.ndarray:
    return to_uint8(image.clamp(0, 1))


if __name__ == "__main__":
    main()
