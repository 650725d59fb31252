"""EDSR: published sizes, agreement with the layers written out, constant images."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip

from facehall.metrics import count_gmacs, count_parameters
from facehall.models.generators import EDSR

BASELINE = [(2, 1_369_859, 3.16), (3, 1_554_499, 3.61), (4, 1_517_571, 4.57), (8, 1_665_283, 10.2)]
LARGE = [(2, 40_729_603, 93.8), (3, 43_680_003, 100.7), (4, 43_089_923, 115.8)]


def size(*arguments):
    with torch.device("meta"):
        network = EDSR(*arguments)
        return count_parameters(network), count_gmacs(network, torch.empty(1, 3, 48, 48))


@pytest.mark.parametrize(("scale", "parameters", "gmacs"), BASELINE)
def test_baseline(scale, parameters, gmacs):
    assert size(scale) == (parameters, pytest.approx(gmacs, rel=5e-3))


@pytest.mark.parametrize(("scale", "parameters", "gmacs"), LARGE)
def test_full_size(scale, parameters, gmacs):
    assert size(scale, 32, 256, 0.1) == (parameters, pytest.approx(gmacs, rel=5e-3))


def test_small_size():
    assert size(4, 8, 48) == (522_243, pytest.approx(1.82, rel=5e-3))


@pytest.mark.parametrize(("scale", "factors"), [(3, [3]), (4, [2, 2])])
def test_layers_are_those_of_the_paper(scale, factors):
    network = EDSR(scale, blocks=2, features=4, residual_scale=0.1)
    state = network.state_dict()

    def conv(name, x):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    lr = torch.rand(1, 3, 6, 7)
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    head = x = conv("conv_first", 255 * (lr - mean))
    for i in range(2):
        x = x + 0.1 * conv(f"body.{i}.conv2", conv(f"body.{i}.conv1", x).relu())
    x = head + conv("conv_after_body", x)
    for i, factor in enumerate(factors):
        x = F.pixel_shuffle(conv(f"upsample.{2 * i}", x), factor)
    torch.testing.assert_close(network(lr), conv("conv_last", x) / 255 + mean)


def test_a_constant_image_stays_constant_without_the_body():
    network = EDSR(2, blocks=1, features=4)
    for parameter in network.body.parameters():
        nn.init.zeros_(parameter)
    inner = network(torch.rand(1, 3, 1, 1).expand(1, 3, 12, 12))[..., 8:-8, 8:-8]
    for phase in (inner[..., i::2, j::2] for i in range(2) for j in range(2)):  # sub-pixels have weights of their own
        torch.testing.assert_close(phase, phase[..., :1, :1].expand_as(phase))


def test_a_zero_network_returns_the_mean():
    network = EDSR(2, blocks=1, features=4)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(network(torch.rand(1, 3, 4, 4)), network.mean.expand(1, 3, 8, 8))


def test_arguments(tmp_path):
    assert_round_trip(EDSR(3, blocks=1, features=4, residual_scale=0.1), torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match=r"scale must be one of 2, 3, 4, 8, not"):
        EDSR(5)
