"""Train the gate of two networks that share all but their weights: gate.py FACES OUTPUT FAITHFUL SHARP --seconds S

FACES is a folder of lossless or good pictures of 512 pixels. Each is degraded at random by conf/degradation/mixed.yaml,
and once only reduced, at two sizes; both networks restore it. Their outputs stay as they are, so that the gate, which
sees nothing else, is trained on many of them in minutes: for both networks, and for all that lies between them. It is
written into both, OUTPUT/NAME.safetensors, with lower gains for the sharp weights, whose output shows noise more.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import OmegaConf
from torch import Tensor

from device import share_of_rate
from facehall.cli.experiments import experiment_parser
from facehall.config.build import build
from facehall.data.degradations.base import recipe_of
from facehall.imaging import downscale_bicubic, list_images, quantize, read_rgb, to_tensor, upscale_bicubic
from facehall.io.conf import conf_dir
from facehall.io.progress import progress_bar
from facehall.models.generators import MultiScaleUNet
from facehall.models.layers.gate import DetailGate
from facehall.models.weights import load_generator, read_metadata, save_generator
from ship import REBUILT_KEYS

SCALE = 4
REDUCTIONS = (1, 2)
"""Faces of 128 and of 64 LR pixels."""
DRAWS = 3
"""Degradations of each face and size; a fourth pair is clean."""
CROP = 48
"""Side of a crop in LR pixels."""
COUNT, RATE = 8, 1.5e-3


class Pair(NamedTuple):
    """LR (half precision), HR (uint8) and the residuals of the networks (half precision)."""

    lr: Tensor
    hr: Tensor
    residuals: list[Tensor]


@torch.inference_mode()
def pairs(faces: Path, networks: list[MultiScaleUNet]) -> list[Pair]:
    degradation = build(OmegaConf.load(conf_dir() / "degradation" / "mixed.yaml"), "degradation")
    files, found = list_images(faces), []
    with progress_bar("restoring", len(files)) as advance:
        for file in files:
            whole = to_tensor(read_rgb(file))
            for reduction in REDUCTIONS:
                hr = quantize(downscale_bicubic(whole, reduction))
                inputs = [
                    degradation(hr, SCALE, recipe_of(f"{file.stem} {reduction}", draw, degradation, SCALE))
                    for draw in range(DRAWS)
                ]
                for lr in (*inputs, quantize(downscale_bicubic(hr, SCALE))):
                    base = upscale_bicubic(lr[None], SCALE)
                    residuals = [(network(lr[None]) - base)[0].half() for network in networks]
                    found.append(Pair(lr.half(), (255 * hr).round().byte(), residuals))
            advance()
    return found


def train(gate: DetailGate, found: list[Pair], seconds: float) -> None:
    """Minimise the mean root mean square error of crops, in which clean ones count as much as ruined ones."""
    optimizer, started, step = torch.optim.Adam(gate.parameters(), RATE), time.monotonic(), 0
    while (progress := (time.monotonic() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * share_of_rate(progress)
        crops = [crop(random.choice(found)) for _ in range(COUNT)]
        lr, hr, residual = (torch.stack(images) for images in zip(*crops, strict=True))
        sr = upscale_bicubic(lr, SCALE) + gate(lr, residual)
        loss = ((sr - hr).square().mean(dim=(1, 2, 3)) + 1e-6).sqrt().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"{step} steps, {progress:.0%}: {loss.item():.5f}", flush=True)


def crop(pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
    """Return lr, hr and the residual of a network between the two, of a random part."""
    share = random.random()
    residual = pair.residuals[0].float().lerp(pair.residuals[1].float(), share)
    top, left = (random.randint(0, side - CROP) for side in pair.lr.shape[-2:])
    parts = [
        image[:, top * s : (top + CROP) * s, left * s : (left + CROP) * s].float()
        for image, s in ((pair.lr, 1), (pair.hr, SCALE), (residual, SCALE))
    ]
    lr, hr, residual = (image.flip(-1) for image in parts) if random.random() < 0.5 else parts
    return lr, hr / 255, residual


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a folder")
    parser.add_argument(
        "weights", type=Path, nargs=2, metavar="WEIGHTS", help="faithful and sharp ones of MultiScaleUNet"
    )
    parser.add_argument("--sharp", type=float, default=0.15, help="taken from the last bias for the sharp weights")
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
        found = pairs(options.faces, networks)
        if options.pairs is not None:
            torch.save([tuple(each) for each in found], options.pairs)
    gate = DetailGate(SCALE, options.width)
    train(gate, found, options.seconds)
    tensors = {f"gate.{name}": value for name, value in gate.state_dict().items()}
    for file, network, less in zip(options.weights, networks, (0.0, options.sharp), strict=True):
        gated = MultiScaleUNet(**{**network.arguments, "gate": options.width})
        gated.load_state_dict(network.state_dict() | tensors)
        assert gated.gate is not None
        gated.gate.gain.get_parameter("bias").data -= less
        origin = {key: value for key, value in read_metadata(file).items() if key not in REBUILT_KEYS}
        save_generator(options.output / file.name, gated, origin | {"gate_seconds": f"{options.seconds:.0f}"})


if __name__ == "__main__":
    main()
