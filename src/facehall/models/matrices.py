"""Which parameters are the matrices of hidden layers, for optimizers that treat matrices in their own way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

IMAGE_CHANNELS = (1, 3)
"""Channels of luma, of logits, and of RGB."""

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def matrix_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of hidden linear layers and convolutions, by parameter name: (out, in) or (out, in, k, k).

    Left out are layers that read or write images, whose rows or columns are colours rather than features: the first and
    the last layer in the order of registration, and any other with `IMAGE_CHANNELS` inputs or outputs, such as the
    heads of a pyramid. So are grouped and transposed convolutions, whose weights are not one matrix from inputs to
    outputs. The weight under a spectral norm counts as the layer's own.
    """
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    weights = [weight for weight in _weights(network) if id(weight) in names]
    edges = {id(weight) for weight in (*weights[:1], *weights[-1:])}
    return {
        names[id(weight)]: weight
        for weight in weights
        if id(weight) not in edges and not set(weight.shape[:2]) & set(IMAGE_CHANNELS)
    }


def _weights(network: nn.Module) -> Iterator[nn.Parameter]:
    for layer in network.modules():
        if not isinstance(layer, _LAYERS) or getattr(layer, "groups", 1) > 1:
            continue
        weight: Any = layer.weight
        if is_parametrized(layer, "weight"):
            parametrizations: Any = layer.parametrizations
            weight = getattr(parametrizations.weight, "original", None)  # none: several, as of a weight norm
        if isinstance(weight, nn.Parameter):
            yield weight
