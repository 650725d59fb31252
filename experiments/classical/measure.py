"""Fit a classical method and measure it as its papers do.

    GOMP_SPINCOUNT=0 python experiments/classical/measure.py a_plus 4 T91 SET5 [--weights a_plus_x4.safetensors]

T91 and SET5 are folders of pictures. Appends a row to results.csv: PSNR of luma, the time of the fit (wall clock and
CPU), and the time per picture (CPU). As in the papers, LR is made from 8-bit luma and not rounded, the result is
rounded to 8 bits, and a border of the scale's width is cropped. Without GOMP_SPINCOUNT=0 waiting threads count as CPU
time.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import torch

from facehall.classical import ANR, RFL, APlus
from facehall.cli.experiments import experiment_parser
from facehall.imaging import crop_to_multiple, downscale_bicubic, list_images, quantize, read_rgb, to_tensor
from facehall.imaging.colour import rgb_to_y
from facehall.metrics import psnr
from facehall.models.weights import save_generator

METHODS = {"a_plus": APlus, "anr": ANR, "rfl": RFL}


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("results.csv"))
    parser.add_argument("method", choices=METHODS, help="the method")
    parser.add_argument("scale", type=int, choices=(2, 3, 4), help="the scale")
    parser.add_argument("training", type=Path, metavar="T91", help="folder of training pictures")
    parser.add_argument("test", type=Path, metavar="SET5", help="folder of HR test pictures")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="where to keep the fitted method (nowhere)")
    arguments = parser.parse_args()
    measure(arguments.method, arguments.scale, arguments.training, arguments.test, arguments.weights, arguments.results)


def measure(method: str, scale: int, training: Path, test: Path, weights: Path | None, results: Path) -> None:
    pictures = [to_tensor(read_rgb(path)) for path in list_images(training)]
    wall, cpu = time.perf_counter(), time.process_time()
    net = METHODS[method]().fit(pictures, scale)
    row = {"method": method, "scale": scale, "pictures": len(pictures)}
    row |= {"fit_wall_s": round(time.perf_counter() - wall), "fit_cpu_s": round(time.process_time() - cpu)}
    row["threads"] = torch.get_num_threads()
    figures, seconds = [], []
    for path in list_images(test):
        hr = quantize(rgb_to_y(crop_to_multiple(to_tensor(read_rgb(path)), scale)))
        lr = downscale_bicubic(hr, scale)
        cpu = time.process_time()
        with torch.inference_mode():
            sr = quantize(net(lr[None])[0])
        seconds.append(time.process_time() - cpu)
        inner = (None, ..., slice(scale, -scale), slice(scale, -scale))
        figures.append(float(psnr(sr[inner], hr[inner])))
    row |= {"psnr": round(sum(figures) / len(figures), 3), "per_picture": " ".join(f"{each:.2f}" for each in figures)}
    row["upscale_cpu_s"] = round(sum(seconds) / len(seconds), 3)
    if weights is not None:
        save_generator(weights, net, {"data": training.name})
        row["file_mb"] = round(weights.stat().st_size / 1e6, 1)
    print(row, flush=True)
    new = not results.exists()
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
