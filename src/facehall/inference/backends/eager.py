"""The network as it stands, and in the memory layout that convolutions on a CPU prefer."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from facehall.inference.backends.base import Backend
from facehall.models.generators import Generator


def eager(generator: Generator, device: torch.device) -> Backend:
    """`generator` itself, in float32 as it is."""
    return generator


def channels_last(generator: Generator, device: torch.device) -> Backend:
    """The same numbers with the channels of a pixel side by side."""
    network = copy.deepcopy(generator).to(device).to(memory_format=torch.channels_last)

    def run(lr: Tensor) -> Tensor:
        return network(lr.contiguous(memory_format=torch.channels_last))

    return run
