"""Forty minutes of two cores: release_x4_psnr as it stands beside faces_x4_psnr, x4, 64 to 256 pixels.

    python experiments/speed/equal_time.py FACES RUNS

Each recipe gets the steps that 40 minutes allow at its rate in results.csv, so the trainings may run on one thread
each, at the same time, beside other work, and be interrupted: the same command resumes them in RUNS. Writes the gain
over bicubic on the 20 validation faces after each epoch to equal_time.csv, and draws equal_time.png.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib

from facehall.cli.experiments import experiment_parser

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
MINUTES = 40
RATES = {"old": 2.2267, "new": 3.8583}
"""Steps a second on two idle cores, in results.csv: `adam` and `threads`."""
COMMON = [
    "data.exclude=[lfw128,utk128,celeba_fm96]",  # as the release; these came later
    "callbacks.samples=null",
    "runtime.compile=false",
    "runtime.threads=1",
    "trainer=cpu",
    "logger=none",
    "seed=1",
    "resume=auto",
]
RECIPES = {"old": "release_x4_psnr", "new": "faces_x4_psnr"}
EPOCHS = {"old": 668, "new": 300}
"""Steps from one validation to the next."""


def main() -> None:
    parser = experiment_parser(__doc__, HERE / "equal_time.csv")
    parser.add_argument("faces", metavar="FACES", help="folder with train and val")
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder for the two runs, in which they resume")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(len(RECIPES)) as pool:
        list(pool.map(lambda name: train(name, arguments.faces, arguments.runs / name), RECIPES))
    curves = {name: read(arguments.runs / name) for name in RECIPES}
    with arguments.results.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("recipe", "step", "minutes", "gain", "lpips"))
        for name, rows in curves.items():
            writer.writerows((name, step, round(minutes(name, step), 2), gain, lpips) for step, gain, lpips in rows)
    draw(curves, arguments.results.with_suffix(".png"))
    ends = {name: rows[-1][1] for name, rows in curves.items()}
    print(f"{MINUTES} minutes: old {ends['old']:+.2f} dB, new {ends['new']:+.2f} dB over bicubic")


def train(name: str, faces: str, run: Path) -> None:
    """Train a recipe to its end, from where it stands; nothing if it is finished."""
    if (run / "summary.json").is_file():
        return
    length = [f"curriculum.psnr.steps={round(60 * MINUTES * RATES[name])}", f"patches.steps_per_epoch={EPOCHS[name]}"]
    settings = [f"experiment={RECIPES[name]}", *COMMON, *length, f"data.root={faces}", f"run_dir={run}"]
    subprocess.run([sys.executable, "-m", "facehall.train", *settings], check=True)


def read(run: Path) -> list[tuple[int, float, float]]:
    """Return step, gain in dB and LPIPS of each validation."""
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/psnr"]]
    return [
        (int(row["step"]), round(float(row["val/psnr_gain"]), 3), round(float(row["val/lpips"]), 4)) for row in rows
    ]


def minutes(name: str, step: int) -> float:
    return step / RATES[name] / 60


def draw(curves: dict[str, list[tuple[int, float, float]]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    labels = {"old": "release_x4_psnr: dense blocks, Adam", "new": "faces_x4_psnr: residual blocks, Muon, mirroring"}
    for name, rows in curves.items():
        axes.plot([minutes(name, step) for step, *_ in rows], [gain for _, gain, _ in rows], ".-", label=labels[name])
    axes.set(xlabel="minutes of two cores", ylabel="dB over bicubic, 20 validation faces")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
