"""SPSR: sizes, the two branches by hand, its outputs, files."""

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.imaging import gradient_map
from facehall.models.generators import SPSR

SMALL = {"blocks": 4, "features": 24, "growth": 12, "taps": [2, 4], "fusion": "conv"}
TINY = {"blocks": 3, "features": 4, "growth": 2, "taps": [1, 3]}


@pytest.mark.parametrize(("arguments", "parameters", "gmacs"), [({}, 24_796_230, None), (SMALL, 916_230, 3.81)])
def test_sizes(arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image; the card's figures, counted layer by layer."""
    assert_size(lambda: SPSR(**arguments, memory="naive"), parameters, gmacs)


@pytest.mark.parametrize("fusion", ["rrdb", "conv"])
def test_by_hand(fusion):
    torch.manual_seed(0)
    network = SPSR(**TINY, fusion=fusion)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def leaky(x):
        return torch.where(x > 0, x, 0.2 * x)

    def enlarge(layers, x):
        for up in layers[:2]:
            x = leaky(conv(up[1], x.repeat_interleave(2, -1).repeat_interleave(2, -2)))
        return conv(layers[4], leaky(conv(layers[2], x)))

    lr = torch.rand(2, 3, 5, 6)
    first = conv(network.first, lr)
    after1 = network.body[0](first)
    after3 = network.body[2](network.body[1](after1))
    image = enlarge(network.enlarge, first + conv(network.conv_body, after3))
    start = conv(network.gradient_first, gradient_map(lr))
    gradient = start
    for (rrdb, last), features in zip(network.gradient_blocks, (after1, after3), strict=True):
        gradient = conv(last, rrdb(torch.cat([gradient, features], 1)))
    gradient = enlarge(network.gradient_enlarge, start + conv(network.gradient_conv, gradient))
    x = torch.cat([gradient, image], 1)
    layers = list(network.fuse)
    if fusion == "rrdb":
        x = layers.pop(0)(x)
    x = conv(layers[3], leaky(conv(layers[1], conv(layers[0], x))))

    outputs = network.outputs(lr)
    assert tuple(outputs) == SPSR.provides
    torch.testing.assert_close(network(lr), x)
    torch.testing.assert_close(outputs["pyramid"][4], x)
    torch.testing.assert_close(outputs["gradient"], conv(network.gradient_last, gradient))


def test_every_parameter_gets_a_gradient():
    outputs = (network := SPSR(**TINY)).outputs(torch.rand(1, 3, 6, 6))
    (outputs["pyramid"][4].square().mean() + outputs["gradient"].square().mean()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_arguments(tmp_path):
    assert_round_trip(SPSR(**TINY, fusion="conv"), torch.rand(1, 3, 5, 6), tmp_path)
    for taps in ([], [0, 1], [2, 1], [1, 1], [1, 4]):
        with pytest.raises(ValueError, match="taps must be increasing numbers from 1 to blocks=3"):
            SPSR(3, 4, 2, taps)
    with pytest.raises(ValueError, match="fusion must be rrdb or conv, not 'sum'"):
        SPSR(1, 4, 2, [1], "sum")
