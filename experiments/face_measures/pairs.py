"""Verify LFW's pairs of tiny faces: python experiments/face_measures/pairs.py FACES

Both pictures of a pair are aligned to FFHQ's frame of 128 pixels, reduced to 16 by bicubic, restored, and compared by
dlib's network: restored against restored, where the measure verification_auc compares restored with original pictures.
FACES contains test/lfw_pairs160 and its _pairs.csv. Writes pairs.csv.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facehall.cli.experiments import experiment_parser
from facehall.faces.mesh import FaceMesh
from facehall.faces.recognition import Recogniser
from facehall.faces.similarity import similarity, warp
from facehall.faces.templates import FFHQ_FIVE
from facehall.imaging import downscale_bicubic, quantize, read_rgb, to_tensor, upscale_bicubic
from facehall.inference import Predictor
from facehall.metrics.pairs import VerificationPairs

SIDE, SCALE = 128, 8
WEIGHTS = ("facehall-x8_psnr", "facehall-x8", "facehall-x8_aligned_psnr", "facehall-x8_aligned")


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("pairs.csv"))
    parser.add_argument("faces", type=Path, metavar="FACES")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.faces / "test" / "lfw_pairs160"
    pairs = VerificationPairs.read(folder.with_name(f"{folder.name}_pairs.csv"))
    recogniser = Recogniser("dlib")
    embeddings = embed(folder, pairs.names, recogniser)
    with options.results.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "auc", "accuracy"])
        for method, found in embeddings.items():
            writer.writerow([method, *(f"{value:.4f}" for value in verified(recogniser, torch.stack(found), pairs))])


@torch.inference_mode()
def embed(folder: Path, names: tuple[str, ...], recogniser: Recogniser) -> dict[str, list[Tensor]]:
    """Return method -> embeddings of the pictures as each method restores them."""
    mesh = FaceMesh()
    predictors = {name: Predictor(name, "cpu") for name in WEIGHTS}
    template = torch.tensor(FFHQ_FIVE) * (SIDE / 512)
    found: dict[str, list[Tensor]] = {name: [] for name in ("full resolution", "bicubic", *WEIGHTS)}
    for name in names:
        picture = read_rgb(folder / name)
        five = torch.from_numpy(mesh(picture).five)[None]
        hr = quantize(warp(to_tensor(picture)[None], similarity(five, template), SIDE)[0])
        lr = quantize(downscale_bicubic(hr, SCALE))
        faces = {"full resolution": hr, "bicubic": upscale_bicubic(lr, SCALE)}
        faces |= {method: predictor.super_resolve(lr) for method, predictor in predictors.items()}
        for method, face in faces.items():
            found[method].append(recogniser(quantize(face)[None], template[None])[0])
    return found


def verified(recogniser: Recogniser, embeddings: Tensor, pairs: VerificationPairs) -> tuple[float, float]:
    """Return the area under the ROC curve, and the best accuracy."""
    a, b, same = (np.array(column) for column in zip(*pairs.rows, strict=True))
    scores = recogniser.similarity(embeddings[a], embeddings[b]).numpy()
    auc = float((scores[same][:, None] > scores[~same]).mean())
    return auc, max(float(((scores >= limit) == same).mean()) for limit in scores)


if __name__ == "__main__":
    main()
