"""Fit a classical method and measure it as its papers do: python experiments/classical/measure.py METHOD SCALE T91 SET5

METHOD is a_plus, anr or rfl; T91 and SET5 are folders of pictures. Appends a row to results.csv: PSNR of luma, the time
of the fit (wall clock and CPU), and the time per picture (CPU). As in the papers, LR is made from 8-bit luma and not
rounded, the result is rounded to 8 bits, and a border of SCALE pixels is cropped.

Set GOMP_SPINCOUNT=0, else waiting threads count as CPU time.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import torch

from facehall.classical import ANR, RFL, APlus
from facehall.imaging import crop_to_multiple, downscale_bicubic, quantize, read_rgb, to_tensor
from facehall.imaging.colour import rgb_to_y
from facehall.models.weights import save_generator

METHODS = {"a_plus": APlus, "anr": ANR, "rfl": RFL}
RESULTS = Path(__file__).with_name("results.csv")


def main(method: str, scale: int, training: Path, test: Path, weights: Path | None = None) -> None:
    pictures = [to_tensor(read_rgb(path)) for path in sorted(training.iterdir())]
    wall, cpu = time.perf_counter(), time.process_time()
    net = METHODS[method]().fit(pictures, scale)
    row = {"method": method, "scale": scale, "pictures": len(pictures)}
    row |= {"fit_wall_s": round(time.perf_counter() - wall), "fit_cpu_s": round(time.process_time() - cpu)}
    row["threads"] = torch.get_num_threads()
    figures, seconds = [], []
    for path in sorted(test.iterdir()):
        hr = quantize(rgb_to_y(crop_to_multiple(to_tensor(read_rgb(path)), scale)))
        lr = downscale_bicubic(hr, scale)
        cpu = time.process_time()
        with torch.inference_mode():
            sr = quantize(net(lr[None])[0])
        seconds.append(time.process_time() - cpu)
        inner = slice(scale, -scale)
        error = (sr - hr)[0, inner, inner].double().square().mean()
        figures.append(float(-10 * error.log10()))
    row |= {"psnr": round(sum(figures) / len(figures), 3), "per_picture": " ".join(f"{each:.2f}" for each in figures)}
    row["upscale_cpu_s"] = round(sum(seconds) / len(seconds), 3)
    if weights is not None:
        save_generator(weights, net, {"data": training.name})
        row["file_mb"] = round(weights.stat().st_size / 1e6, 1)
    print(row, flush=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), *map(Path, sys.argv[5:]))
