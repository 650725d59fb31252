"""Recall and false boxes of the face detector.

    python experiments/faces/recall.py COMPOSED

COMPOSED is a folder written by compose.py. Prints recall by size of the crop, and writes extra boxes as crops to
COMPOSED/extra/, to be looked at: a landscape may contain people of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from facehall.cli.experiments import experiment_parser
from facehall.faces.centerface import CenterFace
from facehall.faces.detection import detect
from facehall.imaging import read_rgb, write_picture
from facehall.io.timing import seconds


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="COMPOSED", help="folder written by compose.py")
    parser.add_argument("--weights", metavar="FILE", help="centerface.onnx (found or fetched)")
    options = parser.parse_args()
    folder, network = options.folder, CenterFace(options.weights)
    truth = json.loads((folder / "truth.json").read_text())
    found: dict[int, list[bool]] = defaultdict(list)
    extra, times = 0, []
    for photos, (name, faces) in enumerate(truth.items(), start=1):
        rgb = read_rgb(folder / name)
        detected: list = []
        times.append(seconds(lambda rgb=rgb, into=detected: into.extend(detect(network, rgb))))
        middles = np.array([((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in detected]).reshape(-1, 2)
        used = set()
        for size, x, y in faces:
            distances = np.hypot(*(middles - (x, y)).T) / size if len(middles) else np.array([np.inf])
            nearest = int(distances.argmin())
            found[size].append(bool(distances[nearest] < 0.25))
            if found[size][-1]:
                used.add(nearest)
            else:
                print(f"{name}: missed a face of {size} at {x:.0f}, {y:.0f}", flush=True)
        for index, face in enumerate(detected):
            if index not in used:
                extra += 1
                print(f"{name}: extra box {[round(v) for v in face.box]} {face.score:.2f}", flush=True)
                left, top, right, bottom = (max(0, round(v)) for v in face.box)
                write_picture(folder / "extra" / f"{Path(name).stem}_{index}.png", rgb[top:bottom, left:right])
        if photos % 5 == 0 or photos == len(truth):
            recalls = {size: f"{np.mean(hits):.3f} of {len(hits)}" for size, hits in sorted(found.items())}
            print(
                f"{photos} photographs: {recalls}, {extra / photos:.3f} extra boxes, {np.median(times):.2f} s",
                flush=True,
            )
    large = [hit for size, hits in found.items() if size >= 32 for hit in hits]
    print(f"recall from 32 pixels on: {np.mean(large):.4f} of {len(large)}")


if __name__ == "__main__":
    main()
