"""Backends with eager torch: the network unchanged, or in channels-last memory layout."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from facehall.inference.backends.base import Backend
from facehall.models.generators import Generator


def eager(generator: Generator, device: torch.device) -> Backend:
    """Return `generator` unchanged, in float32."""
    return generator


def channels_last(generator: Generator, device: torch.device) -> Backend:
    """Return `generator` in channels-last layout, which is faster on CPUs; same results."""
    network = copy.deepcopy(generator).to(device).to(memory_format=torch.channels_last)

    def run(lr: Tensor) -> Tensor:
        return network(lr.contiguous(memory_format=torch.channels_last))

    return run
