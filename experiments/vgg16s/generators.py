"""Train the default generator with each loss: python experiments/vgg16s/generators.py --data DIR --out DIR

Uses `make train`'s recipe on the sample photographs. The PSNR phase has no perceptual loss: it is run once per seed,
and each variant starts from its checkpoint. Finished parts are skipped, so the same command resumes an interrupted run.
Writes generators.csv next to this file after each variant, and generators.png at the end.

--short STEPS adds VGG16 with a GAN phase of STEPS steps, to match the duration of VGG16s' GAN phase.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from facehall.cli.experiments import experiment_parser
from facehall.data import SampleSource
from facehall.imaging import (
    comparison_sheet,
    downscale_bicubic,
    quantize,
    read_rgb,
    to_tensor,
    to_uint8,
    upscale_bicubic,
    write_picture,
)
from facehall.metrics.lpips import LPIPS
from facehall.models.weights import load_generator
from pictures import pictures, read

HERE = Path(__file__).parent
SETS = {"natural": "benchmark/DIV2K_valid100_crop256", "faces": "faces/test/celebahq512"}
IMAGES_PER_SET = 40


def train(folder: Path, seed: int, *overrides: str) -> None:
    """Run a training in its own folder, or resume it from the checkpoint there."""
    resume = [f"resume={folder}"] if (folder / "checkpoints/last.ckpt").is_file() else [f"hydra.run.dir={folder}"]
    options = [f"seed={seed}", "logger=none", "trainer.enable_progress_bar=false", "callbacks.samples=null"]
    command = [sys.executable, "-m", "facehall.train", "experiment=esrgan_vgg16s_adam", *options, *resume, *overrides]
    print(" ".join(command[2:]), flush=True)
    subprocess.run(command, check=True)


def train_variant(out: Path, seed: int, name: str, *overrides: str) -> Path:
    """Train a variant from the seed's PSNR phase, unless finished; return its run folder."""
    start, folder = out / f"psnr_{seed}", out / f"{name}_{seed}"
    if not (start / "summary.json").is_file():
        train(
            start, seed, "losses.perceptual=null", "trainer.max_epochs=10"
        )  # 10 epochs of 50 steps are the PSNR phase
    if not (folder / "summary.json").is_file():
        if not (folder / "checkpoints/last.ckpt").is_file():
            shutil.copytree(start, folder, ignore=shutil.ignore_patterns("summary.json"), dirs_exist_ok=True)
        train(folder, seed, *overrides)
    return folder


@torch.no_grad()
def lpips_of(weights: Path, data: Path, measure: LPIPS) -> dict[str, float]:
    """Return the mean LPIPS (AlexNet, x4) of the first images of each set, larger ones downscaled to 256 pixels."""
    generator, found = load_generator(weights), {}
    for name, folder in SETS.items():
        values = []
        for path in pictures(data / folder)[:IMAGES_PER_SET]:
            hr = torch.from_numpy(read(path)).permute(2, 0, 1)[None]
            if hr.shape[-1] > 256:
                hr = quantize(F.interpolate(hr, size=(256, 256), mode="area"))
            sr = quantize(generator(quantize(downscale_bicubic(hr, 4))))
            values.append(float(measure(sr[..., 4:-4, 4:-4], hr[..., 4:-4, 4:-4])))
        found[name] = sum(values) / len(values)
    return found


@torch.no_grad()
def draw(folders: dict[str, Path], path: Path) -> None:
    """Draw the validation sample photographs, upscaled by the generator of each folder."""
    rows = []
    for file in SampleSource().split("val"):
        left, top, right, bottom = file.box
        hr = to_tensor(read_rgb(file.hr)[top:bottom, left:right])[None]
        small = downscale_bicubic(hr, 4)
        made = [load_generator(folder / "weights/generator_ema.safetensors")(small) for folder in folders.values()]
        rows.append([to_uint8(image[0]) for image in (upscale_bicubic(small, 4), *made, hr)])
    write_picture(path, comparison_sheet(rows, ["bicubic", *folders, "HR"]))


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--short", type=int, help="steps of the GAN phase of the additional VGG16 variant")
    options = parser.parse_args()
    variants = {name: [f"losses=[charbonnier,{name},ragan]"] for name in ("vgg16s", "vgg16")}
    if options.short:
        variants["vgg16_short"] = [*variants["vgg16"], f"curriculum.gan.steps={options.short}"]
    measure, rows = LPIPS("alex"), []
    for seed in options.seeds:
        for name, overrides in variants.items():
            folder = train_variant(options.out.absolute(), seed, name, *overrides)
            measured = folder / "lpips.json"
            if not measured.is_file():
                found = lpips_of(folder / "weights/generator_ema.safetensors", options.data, measure)
                measured.write_text(json.dumps(found))
            summary, found = json.loads((folder / "summary.json").read_text()), json.loads(measured.read_text())
            end = summary["end_of_gan_phase"]
            row = {"perceptual": name, "seed": seed, "steps": summary["steps"]}
            row |= {f"lpips_{key}": f"{value:.4f}" for key, value in found.items()}
            row |= {"lpips_sample": f"{end['lpips']:.4f}", "psnr_sample": f"{end['psnr']:.2f}"}
            rows.append(row)
            print(row, flush=True)
            with (HERE / "generators.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    first = {name: options.out / f"{name}_{options.seeds[0]}" for name in variants}
    draw(first, HERE / "generators.png")


if __name__ == "__main__":
    main()
