"""Short trials of equal duration before the long training, on one thread each.

    python experiments/release/explore.py psnr FACES    # FACES holds train and val
    python experiments/release/explore.py gan FACES     # from facehall-x4_psnr

Each trial is a job of one sweep, so `python -m facehall.sweep` writes the table. The number of steps of a trial is
derived from its step time, which is measured first, while a trial runs on the other core.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facehall.cli.experiments import add_overrides, experiment_parser

MINUTES = {"psnr": 4.0, "gan": 3.0}
PROBE = (20, 60)  # steps of two short runs; the difference of their times gives the step time

LPIPS = "curriculum.gan.weights.perceptual=0.03"
COMMON = {
    "psnr": [
        "experiment=release_x4_psnr",
        "patches.patch_size=24",
        "patches.batch_size=8",
        "training.ema_decay=0.99",  # a short training needs a short average
        "optimizer.generator.lr=1.0e-3",
    ],
    "gan": [
        "experiment=release_x4",
        "degradation=bicubic",
        "init=facehall-x4_psnr",
        "training.ema_decay=0.99",
        "curriculum.gan.warmup=40",
        "curriculum.gan.ramp=40",
        LPIPS,
    ],
}

PROBE_OVERRIDES = {
    "psnr": [],
    "gan": ["curriculum.gan.warmup=5", "curriculum.gan.ramp=5"],
}  # full objective within a probe
NO_DISCRIMINATOR = ["discriminator=none", "losses.adversarial=null", "curriculum.gan.trains=[generator]"]
NARROW_STAGES = ["generator.stage_features=16", "generator.stage_growth=8", "generator.carry=4"]
TRIALS = {
    "psnr": {
        "base": [],
        "fine_16": NARROW_STAGES,
        "fine_24_blocks_5": ["generator.stage_features=24", "generator.stage_growth=12", "generator.blocks=5"],
        "fine_16_wide_48_24": [*NARROW_STAGES, "generator.features=48", "generator.growth=24", "generator.blocks=2"],
        "nearest": ["generator.upsampling=nearest"],
        "lr_2e-3": ["optimizer.generator.lr=2.0e-3"],
        "batch_4": ["patches.batch_size=4"],
        "patch_48_batch_2": ["patches.patch_size=48", "patches.batch_size=2"],
        "l1_last_scale_alone": ["losses=[l1]", "losses.pixel.coarse_weight=0"],
        "threshold_0.06": ["mining.threshold=0.06"],
    },
    "gan": {
        "lpips_0.1": [*NO_DISCRIMINATOR, "curriculum.gan.weights.perceptual=0.1"],
        "lpips_0.03": [*NO_DISCRIMINATOR],
        "unet": [],
        "unet_more": ["curriculum.gan.weights.adversarial=0.006"],
        "unet_hinge": ["losses=[charbonnier,lpips,hinge]"],
        "paper": ["discriminator=paper"],
        "vgg16s": ["losses=[charbonnier,vgg16s,ragan]", "curriculum.gan.weights.perceptual=0.01"],
        "unet_ema_0.999": ["training.ema_decay=0.999"],
    },
}


def train(folder: Path, name: str, overrides: list[str], which: str, steps: int, quiet: list[str]) -> float:
    """Train one trial as a job of the sweep `folder`; return the training time in seconds."""
    command = [sys.executable, "-m", "facehall.train", "-m", *overrides]
    command += [f"curriculum.{which}.steps={steps}", f"patches.steps_per_epoch={steps}", "logger=none", *quiet]
    command += ["runtime.threads=1", "runtime.compile=false"]
    command += [f"hydra.sweep.dir={folder}", f"hydra.sweep.subdir={name}"]
    with (folder / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return float(json.loads((folder / name / "summary.json").read_text())["seconds"])


def step_seconds(folder: Path, name: str, overrides: list[str], which: str) -> float:
    probes = folder / "probes"
    probes.mkdir(exist_ok=True)
    quiet = ["data.val_limit=1", "metrics.lpips=none", *PROBE_OVERRIDES[which]]
    short, long = (train(probes, f"{name}_{steps}", overrides, which, steps, quiet) for steps in PROBE)
    return (long - short) / (PROBE[1] - PROBE[0])


def trial(folder: Path, which: str, name: str, overrides: list[str]) -> dict[str, object]:
    """Run a trial and return its table row; the row is cached, so that a restart skips finished trials."""
    done = folder / name / "trial.json"
    if done.is_file():
        return json.loads(done.read_text())
    seconds = step_seconds(folder, name, overrides, which)
    steps = round(60 * MINUTES[which] / seconds)
    total = train(folder, name, overrides, which, steps, [])
    summary = json.loads((folder / name / "summary.json").read_text())
    end = summary[f"end_of_{which}_phase"]
    row = {"trial": name, "parameters": summary["parameters"], "step_ms": round(1000 * seconds), "steps": steps}
    row |= {"seconds": round(total)} | {key: end[key] for key in ("psnr", "ssim", "lpips")}
    metrics = list(csv.DictReader((folder / name / "metrics.csv").open()))
    row["checkerboard"] = round(float(metrics[-1]["val/checkerboard"]), 3)
    done.write_text(json.dumps(row))
    print(row, flush=True)
    return row


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("which", choices=tuple(TRIALS), help="phase to explore")
    parser.add_argument("faces", metavar="FACES", help="folder with train and val")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="concurrent trials (2)")
    add_overrides(parser)
    options = parser.parse_args()
    which = options.which
    folder = Path("runs/sweeps/release") / which
    folder.mkdir(parents=True, exist_ok=True)
    common = [*COMMON[which], f"data.root={options.faces}", *options.overrides]
    with ThreadPoolExecutor(options.at_once) as pool:
        jobs = [
            pool.submit(trial, folder, which, name, [*common, *overrides]) for name, overrides in TRIALS[which].items()
        ]
        rows = [job.result() for job in jobs]
    with Path(__file__).with_name(f"{which}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
