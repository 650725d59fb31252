"""DRRN: size, shared convolutions, a unit by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip

from facehall.metrics import count_gmacs, count_parameters
from facehall.models.generators import DRRN


@pytest.mark.parametrize(
    ("units", "features", "convolutions", "parameters", "gmacs"),
    [
        (9, 128, 297_601, 302_465, 97.9 / 16),
        (25, 128, 297_601, 310_657, 272 / 16),
        (9, 32, 19_105, 20_321, 6.1 / 16),
    ],
)
def test_published_sizes(units, features, convolutions, parameters, gmacs):
    """GMACs of a 48x48 LR image at x4, here at x1."""
    with torch.device("meta"):
        network = DRRN(units=units, features=features)
        assert count_parameters(network) == parameters
        norms = sum(count_parameters(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d))
        assert parameters - norms == convolutions
        assert count_gmacs(network, torch.empty(1, 1, 48, 48)) == pytest.approx(gmacs, rel=0.01)


def test_blocks_by_hand():
    """Two blocks of two units, with batch norms of known statistics."""
    network = DRRN(2, blocks=2, units=2, features=4).eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for i, norm in enumerate(norms):
        norm.running_mean.fill_(0.1 * i)
        norm.running_var.fill_(1.0 + i)

    def activated(sequence, x):
        norm = sequence[0]
        return ((x - norm.running_mean[0]) / (norm.running_var[0] + norm.eps).sqrt()).relu()

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=1)

    y = torch.rand(1, 1, 6, 7)
    first, second = network.blocks
    start = x = conv(first.first, y)
    for u in range(2):
        x = start + conv(first.conv2, activated(first.before2[u], conv(first.conv1, activated(first.before1[u], x))))
    start = x = conv(second.first[1], activated(second.first[0], x))
    for u in range(2):
        x = start + conv(
            second.conv2, activated(second.before2[u], conv(second.conv1, activated(second.before1[u], x)))
        )
    torch.testing.assert_close(network(y), y + conv(network.last, activated(network.before_last, x)))


def test_a_zero_last_layer_returns_the_input():
    network = DRRN(2, units=2, features=8)
    for parameter in network.last.parameters():
        nn.init.zeros_(parameter)
    y = torch.rand(2, 1, 8, 10)
    assert torch.equal(network(y), y)


def test_every_parameter_gets_a_gradient():
    network = DRRN(2, blocks=2, units=2, features=8)
    network(torch.rand(2, 1, 8, 8)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_arguments(tmp_path):
    assert_round_trip(DRRN(3, units=2, features=4), torch.rand(1, 1, 9, 6), tmp_path)
    with pytest.raises(ValueError, match="blocks must be at least 1"):
        DRRN(blocks=0)
