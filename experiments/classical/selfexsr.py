"""Measure SelfExSR as its paper does: python experiments/classical/selfexsr.py SCALE FOLDER [--threads 2]

FOLDER holds HR pictures, such as those of Set5. LR is made by bicubic and has 8 bits; PSNR and SSIM are of the luma,
with a border of SCALE pixels cropped, after rounding to 8 bits. Writes selfexsr_xSCALE.csv beside this file, with the
seconds of wall clock and of all cores (CPU) for each picture. Set GOMP_SPINCOUNT=0, else waiting threads count as CPU
time.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import torch
from torch import Tensor

from facehall.classical.self_exemplar import SelfExSR
from facehall.cli.experiments import experiment_parser
from facehall.imaging import (
    crop_to_multiple,
    downscale_bicubic,
    list_images,
    quantize,
    read_rgb,
    rgb_to_y,
    to_tensor,
    upscale_bicubic,
)
from facehall.metrics import psnr, ssim

HERE = Path(__file__).parent


def measure(path: Path, scale: int) -> dict:
    """A row of the table."""
    hr = crop_to_multiple(to_tensor(read_rgb(path)), scale)
    lr = quantize(downscale_bicubic(hr, scale))

    def luma(image: Tensor) -> Tensor:
        return rgb_to_y(quantize(image))[None, :, scale:-scale, scale:-scale]

    wall, cpu = time.perf_counter(), time.process_time()
    sr = SelfExSR(scale).upscale(lr)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "picture": path.stem,
        "size": f"{hr.shape[-1]}x{hr.shape[-2]}",
        "bicubic_psnr": round(float(psnr(luma(upscale_bicubic(lr, scale)), luma(hr))), 3),
        "psnr": round(float(psnr(luma(sr), luma(hr))), 3),
        "ssim": round(float(ssim(luma(sr), luma(hr))), 4),
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
    }


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("scale", type=int, metavar="SCALE")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(2)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for path in list_images(options.folder):
        rows.append(measure(path, options.scale))
        print(*rows[-1].values(), sep="\t", flush=True)
    with (HERE / f"selfexsr_x{options.scale}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
