"""Weights of a small SRGAN, published by github.com/leftthomas/SRGAN: netG_epoch_4_100.pth and its x2 and x8 siblings.

They are not by SRGAN's authors. The files of 2018 are read; later ones of that repository are of another network.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.models.generators import SRResNet
from facehall.models.weights import UNREADABLE, why_unreadable

LAYERS = {"conv1": 0, "bn1": 1, "prelu": 2, "conv2": 3, "bn2": 4}


def read(path: Path) -> SRResNet:
    """Build the network of a file: an `SRResNet` whose trunk ends in a PReLU and whose output is a tanh.

    Raises:
        FacehallError: the file is not a checkpoint of plain tensors, or holds another network.
    """
    try:
        return _build(torch.load(path, map_location="cpu", weights_only=True))
    except UNREADABLE as error:
        raise FacehallError(f"{path}: not the weights of this small SRGAN ({why_unreadable(error)}).") from None


def _build(theirs: dict[str, Tensor]) -> SRResNet:
    blocks = max(int(m[1]) for m in (re.match(r"^block(\d+)\.conv1\.", name) for name in theirs) if m) - 1
    steps = sum(bool(re.match(rf"^block{blocks + 3}\.\d+\.prelu\.weight$", name)) for name in theirs)
    network = SRResNet(2**steps, blocks, len(theirs["block1.0.bias"]), trunk_end="prelu", output="tanh")
    state = {_renamed(name, blocks): value for name, value in theirs.items()}
    _fold_biases(state)
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    network.load_state_dict(counters | state)  # files of 2018 have no counters
    return network


def _renamed(name: str, blocks: int) -> str:
    if match := re.match(r"^block(\d+)\.(conv1|bn1|prelu|conv2|bn2)\.(.*)$", name):
        return f"trunk.{int(match[1]) - 2}.layers.{LAYERS[match[2]]}.{match[3]}"
    block, _, rest = name.partition(".")
    number, _, parameter = rest.partition(".")
    if block == "block1":
        return f"first.{rest}"
    if block == f"block{blocks + 2}":
        return f"trunk.{blocks + int(number)}.{parameter}"
    if match := re.match(r"^(conv|prelu)\.(.*)$", parameter):
        return f"up.{3 * int(number) + (0 if match[1] == 'conv' else 2)}.{match[2]}"
    return f"last.{parameter}"


def _fold_biases(state: dict[str, Tensor]) -> None:
    """Subtract the biases of convolutions before a batch norm, which ours lack, from its running means."""
    for name in list(state):
        if match := re.match(r"^(.*\.layers)\.([03])\.bias$", name):
            mean = f"{match[1]}.{int(match[2]) + 1}.running_mean"
            state[mean] = state[mean] - state.pop(name)
