"""How an optimizer gets its parameters: parameter groups by what a parameter is, and steps group by group."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from facehall.errors import FacehallError
from facehall.models.matrices import matrix_parameters

OptimizerFactory = Callable[..., Optimizer]
"""Makes an optimizer of a network's parameters, its only argument, or of the network, an argument called `network`."""

Group = dict[str, Any]
"""A parameter group of torch: its `params` and their settings."""


def build_optimizer(factory: OptimizerFactory, network: nn.Module) -> Optimizer:
    """Make a network's optimizer; a factory with an argument `network` gets the network, others its parameters.

    Raises:
        ValueError, TypeError: the factory rejects its settings.
    """
    if "network" in inspect.signature(factory).parameters:
        return factory(network=network)
    return factory(network.parameters())


def matrix_groups(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into the matrices of hidden layers and all others.

    A network may name its matrices in a method `matrix_parameters`, as generators do; those of others are found by
    `facehall.models.matrices`.

    Raises:
        FacehallError: the network has no hidden layer.
    """
    own = getattr(network, "matrix_parameters", None)
    found = {id(parameter) for parameter in (own() if own else matrix_parameters(network)).values()}
    matrices = [parameter for parameter in network.parameters() if id(parameter) in found]
    if not matrices:
        raise FacehallError(
            f"{type(network).__name__} has no convolution or linear layer between its first and last one, and this "
            "optimizer is for such layers: choose another, such as optimizer=adam."
        )
    return matrices, [parameter for parameter in network.parameters() if id(parameter) not in found]


def decay_groups(network: nn.Module) -> list[Group]:
    """Split the parameters into weights, which decay, and biases and norms' factors, which do not (`decays`)."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim < 2]
    groups: list[Group] = [{"params": weights, "decays": True}, {"params": vectors, "decays": False}]
    return [group for group in groups if group["params"]]


class GroupOptimizer(Optimizer):
    """An optimizer that updates its parameters group by group, in `update`."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                parameters = [each for each in group["params"] if each.grad is not None]  # an inactive scale has none
                if parameters:
                    self.update(group, parameters, [parameter.grad for parameter in parameters])
        return loss

    def update(self, group: Group, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Update parameters of one group in place, at least one; their state is in `self.state[parameter]`."""
        raise NotImplementedError


def check_range(name: str, values: float | Sequence[float], low: float = 0.0, below: float = math.inf) -> None:
    """Check that a setting's numbers are in [low, below).

    Raises:
        ValueError: one is not.
    """
    numbers: Iterable[float] = values if isinstance(values, Sequence) else (values,)
    if not all(low <= number < below for number in numbers):
        limit = f"at least {low:g}" if below == math.inf else f"in [{low:g}, {below:g})"
        raise ValueError(f"{name} must be {limit}, not {values}")
