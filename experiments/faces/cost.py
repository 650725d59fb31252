"""Time, peak memory and seams of `facehall restore`.

    python experiments/faces/cost.py LANDSCAPE FACES OUT group

group: 1280x720 pixels with eight faces, enlarged by four. large: 100 megapixels with twenty faces, some of them soft,
restored at the same size. The command runs in a process of its own, whose peak resident memory is printed. Seams are
measured in the result: the mean difference of neighbouring pixels in the soft edge of the masks, less that of the same
pixels in the plain enlargement, in 8-bit levels.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from compose import paste, reduce
from facehall.cli.experiments import experiment_parser
from facehall.faces.alignment import Similarity, Spline, bounds
from facehall.faces.parser import FaceParser
from facehall.imaging import Picture, list_images, read_rgb, write_picture
from facehall.inference.restoration.masks import PersonOnly
from facehall.inference.restoration.pasting import enlarged_region

KINDS = {
    "group": {"size": (720, 1280), "crops": (48, 64, 80, 96, 96, 112, 128, 160), "scale": 4},
    "large": {"size": (8400, 12000), "crops": tuple(range(120, 520, 20)), "scale": 1},
}


def compose(kind: str, landscape: Path, faces: list[Path]) -> np.ndarray:
    """Return a photograph with faces at random places that do not overlap."""
    size, crops = KINDS[kind]["size"], KINDS[kind]["crops"]
    source = reduce(read_rgb(landscape), 1280)
    repeats = [-(-side // length) for side, length in zip(size, source.shape[:2], strict=True)]
    photo = np.tile(source, (*repeats, 1))[: size[0], : size[1]].copy()
    random = np.random.default_rng(0)
    taken: list[tuple[int, int, int]] = []
    for index, crop in enumerate(crops):
        while True:
            left, top = (int(random.integers(0, side - crop)) for side in (size[1], size[0]))
            if all(abs(left - x) > max(crop, s) or abs(top - y) > max(crop, s) for x, y, s in taken):
                break
        face = read_rgb(faces[index * 7 % len(faces)])
        soft = reduce(face, 96) if kind == "large" and index % 2 else face
        paste(photo, soft, crop, left, top, float(random.uniform(-15, 15)))
        taken.append((left, top, crop))
    return photo


def seams(photo: np.ndarray, result: np.ndarray, report: dict, scale: int) -> list[float]:
    """Return the seam of each face that was pasted."""
    found = []
    masker = PersonOnly(FaceParser.pretrained())
    for face in report["faces"]:
        if face["action"] == "left":
            continue
        original = face["crop_side"] * face["reduction"]
        from_crop = Similarity.from_matrix(np.array(face["to_crop"])).inverse.scaled(before=original)
        crop = Spline.of(photo / np.float32(255)).sample(from_crop, (original, original)).clip(0, 1)
        mask = masker(torch.from_numpy(crop).permute(2, 0, 1))[..., None].numpy()
        side = original * scale
        to_crop = Similarity.from_matrix(np.array(face["to_crop"])).scaled(before=scale, after=side)
        left, top, right, bottom = (round(v) for v in bounds(to_crop, side))
        left, top = max(0, left), max(0, top)
        right, bottom = min(result.shape[1], right), min(result.shape[0], bottom)
        shifted = Similarity(to_crop.rotation, to_crop.shift + to_crop.rotation * complex(left, top))
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]
        opacity = Spline.of(mask).sample(shifted, (bottom - top, right - left))[..., 0]
        edge = (opacity > 0.02) & (opacity < 0.3)
        plain = 255 * enlarged_region(Picture(photo), scale, left, top, right, bottom).clip(0, 1)
        steps = [_steps(image)[edge].mean() for image in (result[top:bottom, left:right].astype(np.float32), plain)]
        found.append(float(steps[0] - steps[1]))
    return found


def _steps(image: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference to the neighbours on the right and below."""
    across, down = (np.abs(np.diff(image, axis=axis, append=np.take(image, [-1], axis))) for axis in (0, 1))
    return (across + down).mean(axis=2) / 2


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("landscape", type=Path, metavar="LANDSCAPE", help="a photograph without people")
    parser.add_argument("faces", type=Path, metavar="FACES", help="folder of aligned faces")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for photograph, result and report")
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND", help=f"{', '.join(KINDS)} (both)")
    options = parser.parse_args()
    for kind in options.kinds:
        photo = compose(kind, options.landscape, list_images(options.faces))
        source, target, report = (options.out / f"{kind}{end}" for end in (".jpg", "_restored.png", ".json"))
        write_picture(source, photo)
        command = [sys.executable, "-m", "facehall", "restore", source, "-o", target, "--overwrite", "--report", report]
        command += ["--scale", KINDS[kind]["scale"], "--compression", 1]
        start = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        about = json.loads(report.read_text())["photos"][0]
        each = seams(read_rgb(source), read_rgb(target), about, int(KINDS[kind]["scale"]))
        print(f"{kind}: {seconds:.1f} s, peak {memory:.2f} GiB, {len(each)} of {len(about['faces'])} faces pasted")
        print(f"  seams: mean {np.mean(each):.2f}, largest {np.max(each):.2f} levels above the background's own")


if __name__ == "__main__":
    main()
