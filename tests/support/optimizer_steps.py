"""Small networks with random gradients, for tests of optimizers."""

from __future__ import annotations

import torch
from torch import nn


def convolutions(seed: int = 0, **factory) -> nn.Sequential:
    """A network with wide, tall and square hidden convolutions, of which two have one shape."""
    torch.manual_seed(seed)
    channels = ((3, 4, 3), (4, 6, 3), (6, 6, 3), (6, 6, 3), (6, 8, 1), (8, 4, 1), (4, 3, 3))
    return nn.Sequential(*(nn.Conv2d(i, o, k, padding=k // 2, **factory) for i, o, k in channels))


def random_gradients(network: nn.Module, step: int) -> None:
    """Set gradients that depend on the step and the parameter's position alone."""
    generator = torch.Generator().manual_seed(step)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


def values(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]
