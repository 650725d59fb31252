"""Measure the peak memory for a result of 100 megapixels: a photograph of 2500x2500 pixels upscaled by 4.

python experiments/inference/memory.py [--weights FILE] [--side 2500]
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facehall.cli.experiments import experiment_parser
from facehall.data import SampleSource
from facehall.imaging import read_rgb, write_picture
from facehall.inference import Outcome, Predictor
from facehall.models.generators import MultiScaleRRDB
from facehall.models.weights import save_generator


def main() -> None:
    arguments = parse()
    if arguments.picture:
        child(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or untrained(Path(folder, "untrained.safetensors"))
        photograph = read_rgb(SampleSource().split("train")[7].hr)
        times = [-(-arguments.side // side) for side in photograph.shape[:2]]
        picture = np.tile(photograph, (*times, 1))[: arguments.side, : arguments.side]
        rows = []
        for suffix in arguments.kinds:
            path = Path(folder, f"picture.{suffix}")
            write_picture(path, np.ascontiguousarray(picture))
            settings = ["--weights", str(weights), "--backend", arguments.backend, "--picture", str(path)]
            command = [sys.executable, __file__, *settings]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(done.stdout.strip(), flush=True)
            rows.append(dict(zip(HEADER, done.stdout.strip().split(","), strict=True)))
    with arguments.results.open("w", newline="") as out:
        writer = csv.DictWriter(out, HEADER)
        writer.writeheader()
        writer.writerows(rows)


HEADER = ("file", "input", "output", "megapixels", "backend", "tile", "overlap", "seconds", "import_mib", "peak_mib")


def child(arguments: argparse.Namespace) -> None:
    """Upscale one picture in a separate process, so that the peak is that of this picture."""
    before = peak()
    predictor = Predictor(arguments.weights, device="cpu", backend=arguments.backend)
    with Image.open(arguments.picture) as image:
        predictor.prepare(image.size[0] * image.size[1])
    rows: list[int] = []
    started = time.perf_counter()
    (result,) = predictor.run(arguments.picture, arguments.picture.parent / "out", advance=rows.append)
    seconds = time.perf_counter() - started
    assert isinstance(result, Outcome), result.reason
    most = peak()
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(arguments.picture) as image, Image.open(result.target) as larger:
        sizes = [image.size, larger.size]
    tiler = predictor._tiler
    tile = tiler._side(sizes[0][1], sizes[0][0])
    values = (
        arguments.picture.suffix[1:],
        *("x".join(map(str, size)) for size in sizes),
        round(sizes[1][0] * sizes[1][1] / 1e6, 1),
        predictor.backend.split(" ")[0],
        tile,
        tiler.overlap,
        round(seconds),
        round(before),
        round(most),
    )
    print(",".join(map(str, values)))


def peak() -> float:
    """Return the peak resident memory of this process in MiB; getrusage would include the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def untrained(path: Path) -> Path:
    torch.manual_seed(0)
    generator = MultiScaleRRDB()
    for stage in generator.stages:
        torch.nn.init.normal_(stage.head.weight, std=0.01)
    save_generator(path, generator)
    return path


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__, results=Path(__file__).with_name("memory.csv"))
    parser.add_argument("--weights", type=Path, help="weights of a x4 network (default: the untrained default network)")
    parser.add_argument("--side", type=int, default=2500, help="side of the photograph in pixels")
    parser.add_argument("--kinds", nargs="+", default=["png"], help="file formats")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--picture", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
