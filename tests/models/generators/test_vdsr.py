"""VDSR: size, residual, initialisation."""

import pytest
import torch
from torch import nn
from zoo_checks import assert_round_trip

from facehall.metrics import count_gmacs, count_parameters
from facehall.models.generators import VDSR


@pytest.mark.parametrize(("features", "parameters", "gmacs"), [(64, 665_921, 6.13), (32, 167_073, 1.54)])
def test_published_size(features, parameters, gmacs):
    with torch.device("meta"):
        network = VDSR(features=features)
        assert count_parameters(network) == parameters
        assert count_gmacs(network, torch.empty(1, 1, 96, 96)) == pytest.approx(gmacs, abs=6e-3)


def test_a_zero_last_layer_returns_the_input():
    network = VDSR(2, layers=4, features=8)
    y = torch.rand(1, 1, 8, 10)
    assert not torch.allclose(network(y), y)
    for parameter in network.layers[-1].parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(network(y), y)


def test_no_relu_before_the_sum():
    network = VDSR(2, layers=3, features=8)
    nn.init.constant_(network.layers[-1].bias, -5.0)
    assert network(torch.rand(1, 1, 8, 8)).min() < -1


def test_he_initialisation():
    weight = VDSR().layers[2].weight.detach()
    assert weight.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)


def test_arguments(tmp_path):
    assert_round_trip(VDSR(3, layers=2, features=4), torch.rand(1, 1, 9, 6), tmp_path)
    with pytest.raises(ValueError, match="layers must be at least 2"):
        VDSR(layers=1)
