"""Measure the small face networks: evaluate.py --data DIR --annotations DIR --weights DIR --store DIR

Against the teachers, on faces that no training or choice has seen; writes agreement.csv, and prints it. Networks whose
weights are not in --weights are left out.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from face_tasks import CHIP, SIDES, landmark_error, parsing_figures
from facehall.cli.experiments import experiment_parser
from facehall.faces.identity import IdentityNetwork
from facehall.faces.landmarks import LandmarkNetwork
from facehall.faces.mesh import FaceMesh
from facehall.faces.parser import FaceParser
from facehall.faces.similarity import similarity, warp
from facehall.faces.templates import INSIGHTFACE_FIVE
from facehall.imaging import read_picture, to_tensor
from facehall.metrics.pairs import VerificationPairs
from labelled_faces import load_faces

SETS = ("test/celebahq512", "test/london512")
PAIRS = "test/lfw_pairs160"
Row = dict[str, str | float]


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("agreement.csv"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="folder of parser.safetensors, …")
    parser.add_argument("--store", type=Path, required=True, help="folder of cached pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    sets = {name: load_faces(options.data, options.annotations, [name], options.store) for name in SETS}
    if (path := options.weights / "parser.safetensors").is_file():
        network = FaceParser.pretrained(path)
        for name, faces in sets.items():
            for side in SIDES:
                for figure, value in parsing_figures(network, faces, side).items():
                    rows.append({"network": "parser", "set": name, "side": side, "figure": figure, "value": value})
        rows.append(cost("parser", path, network, torch.rand(1, 3, 16, 16)))
    if (path := options.weights / "landmarks.safetensors").is_file():
        network = LandmarkNetwork.pretrained(path)
        for name, faces in sets.items():
            for side in (*SIDES, 128):
                value = landmark_error(network, faces, side)
                rows.append({"network": "landmarks", "set": name, "side": side, "figure": "nme", "value": value})
        rows.append(cost("landmarks", path, network, torch.rand(1, 3, 16, 16)))
    if (path := options.weights / "identity.safetensors").is_file():
        network = IdentityNetwork.pretrained(path)
        for figure, value in verification(network, options.data / PAIRS).items():
            rows.append({"network": "identity", "set": PAIRS, "side": 160, "figure": figure, "value": value})
        rows.append(cost("identity", path, network, torch.rand(1, 3, CHIP, CHIP)))
    with options.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["network", "set", "side", "figure", "value"])
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {"value": f"{row['value']:.4g}"})
            print(*row.values())


def cost(name: str, path: Path, network: Callable[[Tensor], Tensor], example: Tensor) -> Row:
    """Return the median time of a face in ms, on one thread, with the size of the file as the `set`."""
    times = []
    with torch.no_grad():
        for _ in range(30):
            start = time.perf_counter()
            network(example)
            times.append(1000 * (time.perf_counter() - start))
    size = f"{path.stat().st_size / 1e3:.0f} kB"
    return {"network": name, "set": size, "side": example.shape[-1], "figure": "ms", "value": float(np.median(times))}


@torch.no_grad()
def verification(network: IdentityNetwork, folder: Path) -> dict[str, float]:
    """Return the area under the ROC curve, and the best accuracy, on LFW's pairs."""
    pairs = VerificationPairs.read(folder.with_name(f"{folder.name}_pairs.csv"))
    mesh, template = FaceMesh(), torch.tensor(INSIGHTFACE_FIVE) * (CHIP / 112)
    embeddings = []
    for name in pairs.names:
        picture = read_picture(folder / name).rgb
        five = torch.from_numpy(mesh(picture).five)[None]
        chip = warp(to_tensor(picture)[None], similarity(five, template), CHIP)
        embeddings.append(F.normalize(network(chip), dim=1)[0])
    found = torch.stack(embeddings)
    scores = np.array([float(found[a] @ found[b]) for a, b, _ in pairs.rows])
    same = np.array([each for _, _, each in pairs.rows])
    auc = float((scores[same][:, None] > scores[~same]).mean())
    return {"auc": auc, "accuracy": max(float(((scores >= limit) == same).mean()) for limit in scores)}


if __name__ == "__main__":
    main()
