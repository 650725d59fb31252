"""Add weights to the package in half precision: ship.py WEIGHTS NAME ABOUT [--mix OTHER SHARE] [--faithful NAME]

Of the ten bits of their mantissas a few are kept, so that the wheel, which is compressed, is a third smaller. On eight
validation faces five bits cost 0.0004 dB at x4 and 0.006 dB at x8, four bits 0.003 dB and nothing.

python experiments/release/ship.py runs/…/weights/generator_ema.safetensors facehall-x4 "x4, faces: sharp"
"""

from __future__ import annotations

import zlib
from pathlib import Path

import torch
from torch import Tensor

from facehall.cli.experiments import experiment_parser
from facehall.inference.fidelity import FAITHFUL
from facehall.models.pretrained import WEIGHTS_FOLDER
from facehall.models.weights import load_generator, read_metadata, save_generator

REBUILT_KEYS = {"target", "arguments"}


def rounded(values: Tensor, bits: int) -> Tensor:
    """Round weights to so many bits of mantissa; biases, which are few, stay as they are."""
    if values.ndim < 2:
        return values
    mantissa, exponent = torch.frexp(values)
    steps = 2.0 ** (bits + 1)
    return torch.ldexp((mantissa * steps).round() / steps, exponent)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("source", type=Path, metavar="WEIGHTS", help="weights file written by training")
    parser.add_argument("name", metavar="NAME", help="name in the package")
    parser.add_argument("about", metavar="ABOUT", help="description shown by `facehall weights`")
    parser.add_argument("--bits", type=int, default=5, help="of mantissa, 4 for large networks (default: 5)")
    parser.add_argument("--mix", nargs=2, metavar=("OTHER", "SHARE"), help="weights to mix in, and their share, 0 to 1")
    parser.add_argument("--faithful", metavar="NAME", help="packaged weights between which and these --fidelity mixes")
    options = parser.parse_args()
    path, name = options.source, options.name
    generator = load_generator(path)
    origin = {key: value for key, value in read_metadata(path).items() if key not in REBUILT_KEYS}
    shipped = WEIGHTS_FOLDER / f"{name}.safetensors"
    if options.mix is not None:
        other, share = load_generator(Path(options.mix[0])).state_dict(), float(options.mix[1])
        mixed = {key: torch.lerp(value, other[key], share) for key, value in generator.state_dict().items()}
        generator.load_state_dict(mixed)
        origin["mixed_with"] = f"{share:g} of {Path(options.mix[0]).name}"
    generator.load_state_dict({key: rounded(value, options.bits) for key, value in generator.state_dict().items()})
    if options.faithful is not None:
        origin[FAITHFUL] = options.faithful
    save_generator(shipped, generator, {**origin, "about": options.about}, dtype=torch.float16)
    compressed = len(zlib.compress(shipped.read_bytes()))
    print(f"{shipped.name}: {shipped.stat().st_size / 1e6:.2f} MB, compressed {compressed / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
