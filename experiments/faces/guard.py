"""What must a restored face have in common with its input? Decided on validation faces, whose originals are known.

python experiments/faces/guard.py FACES [--draws 4]

FACES: lossless faces of 512 pixels in FFHQ's frame that no test uses. Each is degraded at random by
conf/degradation/mixed.yaml, at two sizes; the input is restored with the weights of `facehall restore`, with the
faithful ones, and a quarter of the way from the first result to the second. Writes guard.csv: the recogniser's
similarity of each result to the input, which restore can see, and to the original, which it cannot, beside those of the
input itself. Prints what bounds on the first do to the second.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from omegaconf import OmegaConf

from facehall.cli.experiments import experiment_parser
from facehall.config.build import build
from facehall.data.degradations.base import recipe_of
from facehall.imaging import downscale_bicubic, list_images, quantize, read_rgb, to_tensor, upscale_bicubic
from facehall.inference.photographs import SOFTENING, PhotoRestorer
from facehall.inference.restoration.crops import inconsistency, likeness
from facehall.inference.restoration.judging import SamePerson
from facehall.io.conf import conf_dir
from facehall.io.progress import progress_bar

HERE = Path(__file__).parent
STAGES = ("restored", "softened", "faithful")
LOSS = 0.05
"""Loss of similarity to the original that counts as one."""
Row = dict[str, Any]
BOUNDS = (
    *((math.inf, softer) for softer in (math.inf, 0.7, 0.65, 0.6, 0.55, 0.5)),
    *((sharp, 0.55) for sharp in (0.8, 0.7, 0.65, 0.6, 0.55)),
)
"""Similarities to the input from which sharp and less sharp results pass, if bicubic's bound does not let them."""
REDUCTIONS = (1, 2)
"""Faces of 128 and of 64 LR pixels."""


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("--draws", type=int, default=4, metavar="N", help="degradations of each face and size (4)")
    options = parser.parse_args()
    degradation = build(OmegaConf.load(conf_dir() / "degradation" / "mixed.yaml"), "degradation")
    restorer = PhotoRestorer(scale=4)
    assert restorer.faithful is not None
    identity = SamePerson()
    files = list_images(options.faces)
    rows = []
    with progress_bar("restoring", len(files) * options.draws * len(REDUCTIONS)) as advance:
        for file in files:
            whole = to_tensor(read_rgb(file))
            for reduction in REDUCTIONS:
                hr = quantize(downscale_bicubic(whole, reduction)) if reduction > 1 else whole
                for draw in range(options.draws):
                    lr = degradation(hr, 4, recipe_of(f"{file.stem} {reduction}", draw, degradation, 4))
                    row: Row = {"face": file.stem, "lr": lr.shape[-1], "draw": draw}
                    row["input_to_original"] = identity(upscale_bicubic(lr, 4).clamp(0, 1), hr)
                    sharp, faithful = (network.super_resolve(lr) for network in (restorer.predictor, restorer.faithful))
                    for name, sr in zip(STAGES, (sharp, sharp.lerp(faithful, SOFTENING), faithful), strict=True):
                        found = likeness(identity, sr, lr)
                        row["required"] = found.required
                        row[f"{name}_to_input"] = found.restored
                        row[f"{name}_to_original"] = identity(sr, hr)
                        row[f"{name}_inconsistency"] = inconsistency(sr[None], lr[None])
                    rows.append(row)
                    advance()
    with (HERE / "guard.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    print(table(rows))


def table(rows: Sequence[Row]) -> str:
    """Return, for bounds on sharp and on less sharp results, what is done with the faces and what they gain."""
    headings = ["sharp pass at", "less sharp at", *STAGES, "left", "mean gain", f"losses over {LOSS}", "largest loss"]
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    for sharp, softer in BOUNDS:
        done = [stage_of(row, sharp, softer) for row in rows]
        gains = [
            row[f"{stage}_to_original"] - row["input_to_original"]
            for stage, row in zip(done, rows, strict=True)
            if stage
        ]
        counts = [f"{done.count(stage) / len(rows):.0%}" for stage in (*STAGES, "")]
        losses = sum(gain < -LOSS for gain in gains) / len(gains)
        bounds = ["bicubic's bound" if bound == math.inf else f"{bound:.2f}" for bound in (sharp, softer)]
        figures = [*bounds, *counts, f"{fmean(gains):.4f}", f"{losses:.1%}", f"{-min(gains):.2f}"]
        lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines)


def stage_of(row: Row, sharp: float, softer: float) -> str:
    """Return which result `facehall restore` takes; an empty string for none."""
    for stage in STAGES:
        if row[f"{stage}_to_input"] >= min(row["required"], sharp if stage == STAGES[0] else softer):
            return stage
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
