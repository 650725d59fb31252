"""Measure the bundled weights on faces: python experiments/face_measures/measure.py FACES [ROW…]

FACES contains test/celebahq512 and test/london512: 202 persons. Each row is one call of facehall.evaluate, which writes
its folder into --runs; a row that is there already is not computed again. Writes results.csv.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from facehall.cli.experiments import experiment_parser

ROWS = {
    "16 -> 128": (128, "facehall-x8_psnr", "facehall-x8", "facehall-x8_aligned_psnr", "facehall-x8_aligned"),
    "32 -> 128": (128, "facehall-x4_faithful", "facehall-x4_clean", "facehall-x4_psnr", "facehall-x4"),
}
"""HR side and systems, in the order of the table; bicubic is always first."""
MEASURES = ("psnr", "identity", "rank1", "verification", "nme", "lr_consistency")
OTHERS = ("celebahq512_lq128_blind", "lfw_pairs160", "real_degraded", "whole_photos")


def main() -> None:
    parser = experiment_parser(__doc__, Path(__file__).with_name("results.csv"))
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("rows", nargs="*", default=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)} (all)")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the evaluations")
    options = parser.parse_args()
    found = []
    for row in options.rows:
        side, *systems = ROWS[row]
        output = options.runs / row.replace(" -> ", "_")
        if not (output / "table.csv").is_file():
            command = [sys.executable, "-m", "facehall.evaluate", f"systems=[{','.join(systems)}]", "data=images"]
            command += [f"data.root={options.faces / 'test'}", f"data.exclude=[{','.join(OTHERS)}]"]
            command += [f"data.size={side}", f"metrics.measures=[{','.join(MEASURES)}]", "sheet=0", "repeats=1"]
            subprocess.run([*command, f"output={output}"], check=True)
        with (output / "table.csv").open(newline="") as file:
            found += [{"row": row} | {key: each[key] for key in ("method", *MEASURES)} for each in csv.DictReader(file)]
    with options.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["row", "method", *MEASURES])
        writer.writeheader()
        for each in found:
            writer.writerow(
                {key: value if key in ("row", "method") else f"{float(value):.4g}" for key, value in each.items()}
            )
            print(*each.values())


if __name__ == "__main__":
    main()
