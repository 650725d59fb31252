"""PSNR against LPIPS over the fidelity setting: knob.py NAME FOLDER SIZE [PSNR LPIPS of a reference point].

    python experiments/release/knob.py facehall-x4 FACES/test/celebahq512 256 30.30 0.0817

Writes NAME_knob.csv and NAME_knob.png next to this file.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from facehall.cli.experiments import experiment_parser

SETTINGS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]
MEASURES = ("psnr", "ssim", "lpips")


def measure(name: str, folder: str, size: str, fidelity: float) -> list[dict]:
    """Return the rows of the evaluation table: bicubic, then the weights at that fidelity."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "facehall.evaluate", f"weights={name}", f"fidelity={fidelity}", "data=images"]
        command += [f"data.root={folder}", f"data.size={size}", "sheet=0", "repeats=1", f"output={output}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads((Path(output) / "table.json").read_text())["table"]


def draw(rows: list[dict], path: Path, mark: list[float]) -> None:
    figure, axes = plt.subplots(figsize=(5.6, 4), layout="constrained")
    axes.plot([row["psnr"] for row in rows], [row["lpips"] for row in rows], "o-", color="#1f4e79")
    for row in rows:
        axes.annotate(
            f"{row['fidelity']:g}", (row["psnr"], row["lpips"]), (-14, 4), textcoords="offset points", fontsize=8
        )
    if mark:
        axes.plot(*mark, "x", color="#b03a2e", ms=9, label="the paper's figures, on training data")
        axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel="PSNR in dB (RGB), higher is better", ylabel="LPIPS, lower is better")
    axes.set_title(f"{path.stem.removesuffix('_knob')} from fidelity 0 (GAN) to 1 (PSNR)", fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("name", metavar="NAME", help="bundled weights that also exist as NAME_psnr")
    parser.add_argument("folder", metavar="FOLDER", help="folder of HR images")
    parser.add_argument("size", metavar="SIZE", help="size to downscale to, in pixels")
    parser.add_argument("mark", nargs="*", type=float, metavar="PSNR LPIPS", help="reference point to draw")
    options = parser.parse_args()
    name, folder, size = options.name, options.folder, options.size
    rows = []
    for fidelity in SETTINGS:
        bicubic, model = measure(name, folder, size, fidelity)
        rows.append({"fidelity": fidelity, **{key: round(model[key], 5) for key in MEASURES}})
        print({"bicubic": [round(bicubic[key], 4) for key in MEASURES]}, rows[-1], flush=True)
    table = Path(__file__).with_name(f"{name}_knob.csv")
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, table.with_suffix(".png"), options.mark)


if __name__ == "__main__":
    main()
