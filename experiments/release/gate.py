"""Train the gates of two networks that share all but their weights: gate.py PICTURES OUTPUT FAITHFUL SHARP --seconds S

PICTURES is a folder of good pictures, at least 256 pixels large, of faces and of other things. Each is degraded at
random by conf/degradation/mixed.yaml, and once only reduced, at up to three sizes; both networks restore it. Their
outputs stay as they are, so that a gate, which sees nothing else, is trained on many of them in minutes. In the first
half of the time the gate of the faithful network learns, for both networks and all that lies between them; in the
second half that of the sharp network, from the first one and with LPIPS as well, because its output shows noise more.
Both are written with their gate, OUTPUT/NAME.safetensors.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import OmegaConf
from torch import Tensor

from device import share_of_rate
from facehall.cli.experiments import experiment_parser
from facehall.config.build import build
from facehall.data.degradations.base import recipe_of
from facehall.imaging import (
    downscale_bicubic,
    list_images,
    quantize,
    read_rgb,
    resize_bicubic,
    to_tensor,
    upscale_bicubic,
)
from facehall.inference.backends.openvino import openvino
from facehall.io.conf import conf_dir
from facehall.io.progress import progress_bar
from facehall.losses import LPIPSLoss
from facehall.models.generators import MultiScaleUNet
from facehall.models.layers.gate import DetailGate
from facehall.models.weights import load_generator, read_metadata, save_generator
from ship import REBUILT_KEYS

SCALE = 4
SIDES = (512, 256, 128)
"""Of the HR pictures that are made of a picture, as far as it is large enough."""
DRAWS = 2
"""Degradations of each picture and size; a third pair is clean."""
WINDOW = 64
"""Side, in LR pixels, of what is kept of a restored picture; the gate sees about half of that in each direction."""
TINY, TINY_SHARE = 32, 0.25
"""Side of the smallest faces, which the gate sees whole, and the share of their batches."""
CROP = 48
"""Side of the other crops in LR pixels."""
CLEAN_SHARE = 0.2
"""Of the crops."""
COUNT, RATE, LPIPS_WEIGHT = 8, 1.5e-3, 1.0


class Pair(NamedTuple):
    """LR (half precision), HR (uint8), the residuals of the networks (half precision); whether LR was only reduced."""

    lr: Tensor
    hr: Tensor
    residuals: list[Tensor]
    clean: bool


@torch.inference_mode()
def pairs(pictures: Path, networks: list[MultiScaleUNet]) -> list[Pair]:
    degradation = build(OmegaConf.load(conf_dir() / "degradation" / "mixed.yaml"), "degradation")
    backends = [openvino(network, torch.device("cpu")) for network in networks]
    files, found = list_images(pictures), []
    with progress_bar("restoring", len(files)) as advance:
        for file in files:
            whole = to_tensor(read_rgb(file))
            for side in (side for side in SIDES if side <= whole.shape[-1]):
                hr = quantize(resize_bicubic(whole, (side, side)))
                clean = quantize(downscale_bicubic(hr, SCALE))
                recipes = [recipe_of(f"{file.stem} {side}", draw, degradation, SCALE) for draw in range(DRAWS)]
                for lr in (clean, *(degradation(hr, SCALE, recipe) for recipe in recipes)):
                    base = upscale_bicubic(lr[None], SCALE)
                    residuals = [(backend(lr[None]) - base)[0].half() for backend in backends]
                    restored = Pair(lr.half(), (255 * hr).round().byte(), residuals, clean=lr is clean)
                    found.append(cropped(restored, WINDOW))
            advance()
    return found


def cropped(pair: Pair, side: int) -> Pair:
    """Return a random part, of `side` LR pixels or all."""
    side = min(side, *pair.lr.shape[-2:])
    top, left = (random.randint(0, length - side) for length in pair.lr.shape[-2:])

    def part(image: Tensor, s: int) -> Tensor:
        return image[:, top * s : (top + side) * s, left * s : (left + side) * s].clone()

    residuals = [part(residual, SCALE) for residual in pair.residuals]
    return Pair(part(pair.lr, 1), part(pair.hr, SCALE), residuals, pair.clean)


def train(gate: DetailGate, found: list[Pair], seconds: float, lpips: LPIPSLoss | None = None) -> None:
    """Minimise the mean of the root mean square errors of crops, which does not forget clean ones.

    With `lpips`, this is added, and the crops are of the sharp network's output; without it, of both networks' and of
    those between them.
    """
    optimizer, started, step = torch.optim.Adam(gate.parameters(), RATE), time.monotonic(), 0
    groups: dict[tuple[bool, bool], list[Pair]] = defaultdict(list)
    for pair in found:
        groups[pair.lr.shape[-1] == TINY, pair.clean].append(pair)
    while (progress := (time.monotonic() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * share_of_rate(progress)
        tiny = random.random() < TINY_SHARE
        side = TINY if tiny else CROP
        chosen = [random.choice(groups[tiny, random.random() < CLEAN_SHARE]) for _ in range(COUNT)]
        crops = [sample(pair, side, between=lpips is None) for pair in chosen]
        lr, hr, residual = (torch.stack(images) for images in zip(*crops, strict=True))
        sr = upscale_bicubic(lr, SCALE) + gate(lr, residual)
        loss = ((sr - hr).square().mean(dim=(1, 2, 3)) + 1e-6).sqrt().mean()
        if lpips is not None:
            loss = loss + LPIPS_WEIGHT * lpips.distance(sr, hr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"{step} steps, {progress:.0%}: {loss.item():.5f}", flush=True)


def sample(pair: Pair, side: int, between: bool) -> list[Tensor]:
    """Return lr, hr and the residual of the sharp network, or of one `between` the two, of a random part."""
    lr, hr, (faithful, sharp), _ = cropped(pair, side)
    residual = faithful.float().lerp(sharp.float(), random.random() if between else 1.0)
    images = [lr.float(), hr.float() / 255, residual]
    return [image.flip(-1) for image in images] if random.random() < 0.5 else images


def gated(network: MultiScaleUNet, gate: DetailGate, width: int) -> MultiScaleUNet:
    whole = MultiScaleUNet(**{**network.arguments, "gate": width})
    whole.load_state_dict(network.state_dict() | {f"gate.{name}": value for name, value in gate.state_dict().items()})
    return whole


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("pictures", type=Path, metavar="PICTURES")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a folder")
    parser.add_argument(
        "weights", type=Path, nargs=2, metavar="WEIGHTS", help="faithful and sharp ones of MultiScaleUNet"
    )
    parser.add_argument("--width", type=int, default=24, help="channels of the gate")
    parser.add_argument("--seconds", type=float, required=True, help="length of the training itself")
    parser.add_argument("--pairs", type=Path, help="file that keeps the pairs between trainings")
    options = parser.parse_args()
    torch.manual_seed(1)
    random.seed(1)
    networks = [load_generator(file) for file in options.weights]
    for network in networks:
        network.gate = None  # an earlier one, if any
    if options.pairs is not None and options.pairs.is_file():
        found = [Pair(*each) for each in torch.load(options.pairs, mmap=True)]
    else:
        found = pairs(options.pictures, networks)
        if options.pairs is not None:
            torch.save([tuple(each) for each in found], options.pairs)
    gate = DetailGate(SCALE, options.width)
    for file, network, lpips in zip(options.weights, networks, (None, LPIPSLoss()), strict=True):
        train(gate, found, options.seconds / 2, lpips)
        origin = {key: value for key, value in read_metadata(file).items() if key not in REBUILT_KEYS}
        origin["gate_seconds"] = f"{options.seconds:.0f}"
        save_generator(options.output / file.name, gated(network, gate, options.width), origin)


if __name__ == "__main__":
    main()
