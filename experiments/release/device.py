"""Train packaged networks on one GPU whose memory holds all pictures: device.py JOB FACES OUTPUT --seconds S

The learning rate falls with the time, not with the steps: a training ends when its time does, however many run beside
it. OUTPUT.safetensors is the average generator, written at every validation; OUTPUT.csv its curve.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from device_blind import Level, blind_batches, reduced
from device_faces import Batch, Crops, WholeFaces, read_folder, to_canvas, unit
from device_jobs import JOBS, X4_SHARES, X8_SHARES, Job
from facehall.cli.experiments import experiment_parser
from facehall.data import BlindFaceDegradation
from facehall.data.degradations.base import recipe_of
from facehall.imaging import downscale_bicubic, quantize, resize_bicubic
from facehall.losses import DiscriminatorLoss, WeightedTerms
from facehall.models.discriminators import UNetDiscriminator
from facehall.models.weights import load_into, save_generator
from facehall.training.curriculum import Phase
from facehall.training.ema import GeneratorEMA
from facehall.training.optimizers import Muon
from facehall.training.passes import Passes

WARMUP, FLOOR = 0.03, 0.005
"""Share of the time in which the rates rise, and the share of the rates that is left at the end."""
Pairs = list[tuple[Tensor, Tensor]]
Rows = list[dict[str, float]]


class CropJudge(nn.Module):
    """A discriminator that sees a random crop of each batch; None: all of it."""

    def __init__(self, network: nn.Module, side: int | None) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, images: Tensor) -> Tensor:
        if self.side is not None and self.side < images.shape[-1]:
            top, left = (random.randint(0, size - self.side) for size in images.shape[-2:])
            images = images[..., top : top + self.side, left : left + self.side]
        judged: Tensor = self.network(images)
        return judged


def batches(job: Job, faces: Path, device: torch.device, workers: int, seed: int) -> Iterator[Batch]:
    """Return endless training batches of a job from the folders of `faces` that exist."""
    if job.data == "crops":
        sets = {share.name: faces / share.name for share in X4_SHARES if (faces / share.name).is_dir()}
        return iter(
            Crops({name: read_folder(path)[1].to(device) for name, path in sets.items()}, X4_SHARES, 4, job.count)
        )
    if job.data == "blind":
        return blind_batches(blind_levels(faces, device), job.count, workers, device, seed)
    shares = {name: share for name, share in X8_SHARES[job.data].items() if (faces / name).is_dir()}
    return iter(WholeFaces({name: canvas(faces / name, device) for name in shares}, shares, 8, job.count))


def blind_levels(faces: Path, device: torch.device) -> list[Level]:
    hq, ffhq = (read_folder(faces / name)[1] for name in ("celebahq512", "ffhq256"))
    levels = [
        Level(reduced(hq.to(device), side), share, side) for side, share in ((512, 0.42), (384, 0.15), (256, 0.08))
    ]
    levels.append(Level(reduced(ffhq, 256), 0.29, 256))
    if (faces / "photos512").is_dir():  # hair, clothes and backgrounds
        levels.append(Level(reduced(read_folder(faces / "photos512")[1], 512), 0.06, 384))
    return levels


def canvas(folder: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a folder's faces on canvases; those that are not in FFHQ's frame are aligned."""
    names, pictures = read_folder(folder)
    marks = folder.with_name(f"{folder.name}_68_dlib.npz")
    if marks.is_file():
        stored = np.load(marks)
        places = {str(name): index for index, name in enumerate(stored["names"])}
        points = stored["pts"][[places[name] for name in names]].astype(np.float32) / 8
        return to_canvas(pictures, device, torch.from_numpy(points))
    return to_canvas(pictures, device, find=pictures.shape[-1] < 200)


def validation(job: Job, faces: Path, device: torch.device) -> Pairs:
    """Return (lr, hr) of the validation faces at the job's size: 512 pixels for blind, 256 for x4, 128 for x8."""
    pictures = unit(read_folder(faces / "val")[1].to(device))
    size = {"blind": 512, "crops": 256}.get(job.data, 128)
    hr = quantize(resize_bicubic(pictures, (size, size)) if size != pictures.shape[-1] else pictures)
    if job.data != "blind":
        return list(zip(quantize(downscale_bicubic(hr, job.scale)), hr, strict=True))
    degradation = BlindFaceDegradation()
    lr = [degradation(image.cpu(), 4, recipe_of(str(i), 0, degradation, 4)).to(device) for i, image in enumerate(hr)]
    return list(zip(lr, hr, strict=True))


@torch.no_grad()
def psnr(generator: nn.Module, pairs: Pairs) -> float:
    """Return the mean PSNR of the pairs, RGB, without a border of s pixels."""
    found = []
    for lr, hr in pairs:
        border = hr.shape[-1] // lr.shape[-1]
        error = quantize(generator(lr[None]).float())[0] - hr
        found.append(-10 * math.log10(error[..., border:-border, border:-border].square().mean().item()))
    return sum(found) / len(found)


def train(job: Job, options: argparse.Namespace, source: Iterator[Batch], pairs: Pairs) -> None:
    """Train until the time is over; see the module."""
    device, weights = torch.device(options.device), dict(job.weights)
    generator = job.network()
    if options.init is not None:
        load_into(generator, options.init)
    generator.to(device, memory_format=torch.channels_last)
    gan = "adversarial" in weights
    discriminator = CropJudge(UNetDiscriminator(options.discriminator), options.judged) if gan else None
    if discriminator is not None:
        discriminator.to(device, memory_format=torch.channels_last)
    judged = WeightedTerms({"adversarial": DiscriminatorLoss("ragan")} if gan else {}, "discriminator_losses")
    losses = WeightedTerms(job.terms()).to(device)
    passes = Passes(generator, discriminator, losses, judged, torch.channels_last)
    phase, ema, rows = Phase("main", 1, weights), GeneratorEMA(generator, 0.999), Rows()
    optimizer = Muon(generator, lr=job.lr, muon_lr=job.muon_lr)
    rates = [group["lr"] for group in optimizer.param_groups]
    adam = torch.optim.Adam(discriminator.parameters(), 1e-4, betas=(0.9, 0.99)) if discriminator else None
    started, length = time.monotonic(), options.end - time.time() if options.end else options.seconds
    step, checked, next_check = 0, 0, 0.0
    totals: dict[str, Tensor] = {}
    while True:
        elapsed = time.monotonic() - started
        if elapsed >= min(next_check, length):
            means = {name: float(total) / (step - checked) for name, total in totals.items()}
            rows.append({"seconds": elapsed, "steps": step, "psnr": psnr(ema, pairs), **means})
            print(output_line(options, rows[-1]), flush=True)
            write(rows, ema, losses, options)
            totals, checked, next_check = {}, step, elapsed + options.every
            if elapsed >= length:
                return
        progress = min(1.0, elapsed / length)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share_of_rate(progress)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            batch, outputs = passes.generate(next(source), phase)
            if adam is not None:
                passes.train_discriminator(batch, outputs, phase, Tensor.backward)
                adam.step()
                adam.zero_grad()
            values = passes.train_generator(batch, outputs, weights, Tensor.backward)
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.update(generator)
        step += 1
        for name, value in values.items():
            totals[name] = totals.get(name, 0) + value.detach().float()


def share_of_rate(progress: float) -> float:
    """Return the share of the highest rate after a share of the time: a rise, then a cosine."""
    return min(1.0, progress / WARMUP) * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * progress)) / 2)


def output_line(options: argparse.Namespace, row: dict[str, float]) -> str:
    return " ".join([options.output.name, *(f"{name} {value:.5g}" for name, value in row.items())])


def write(rows: Rows, ema: GeneratorEMA, losses: WeightedTerms, options: argparse.Namespace) -> None:
    """Write the average generator and the curve."""
    origin = {"job": options.job} | {name: f"{rows[-1][name]:.0f}" for name in ("steps", "seconds")}
    if minimised := sorted({term.measure for term in map(losses.__getitem__, losses.names) if term.measure}):
        origin["losses"] = ",".join(minimised)
    save_generator(options.output.with_suffix(".safetensors"), ema.generator, origin)
    names = list(dict.fromkeys(key for row in rows for key in row))
    with options.output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("job", choices=sorted(JOBS), metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("faces", type=Path, metavar="FACES", help="folder of celebahq512, ffhq256, val, …")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="file without its suffix")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="length of the training")
    length.add_argument("--end", type=float, help="its end, in seconds since 1970")
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between validations")
    parser.add_argument("--count", type=int, help="pictures of a batch; default: the job's")
    parser.add_argument("--discriminator", type=int, default=32, metavar="N", help="its channels at full resolution")
    parser.add_argument("--judged", type=int, metavar="SIDE", help="side of the crops that the discriminator sees")
    parser.add_argument("--float32", dest="bf16", action="store_false", help="for processors without bfloat16")
    parser.add_argument("--workers", type=int, default=8, help="processes that degrade pictures")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = False  # it would move resized pictures by a quarter of a level
    job, device = JOBS[options.job], torch.device(options.device)
    if options.count:
        job = replace(job, count=options.count)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    source = batches(job, options.faces, device, options.workers, options.seed)
    pairs = validation(job, options.faces, device)
    next(source)  # loaders start before the clock does
    train(job, options, source, pairs)


if __name__ == "__main__":
    main()
