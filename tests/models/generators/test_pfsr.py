"""PFSR: sizes, the pyramid, fading in, the layers by hand, files."""

import math

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.models.generators import PFSR
from facehall.models.layers.equalized import EqualizedConv3


@pytest.mark.parametrize(
    ("scale", "channels", "side", "parameters", "gmacs"),
    [
        (8, 512, 16, 8_969_097, 5.24),
        (8, 128, 16, 564_969, 0.33),
        (4, 128, 64, 538_054, 3.51),
        (4, 96, 48, 303_702, 1.11),
        (4, 64, 48, 135_910, 0.50),
    ],
)
def test_published_sizes(scale, channels, side, parameters, gmacs):
    assert_size(lambda: PFSR(scale, channels), parameters, gmacs, side)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PFSR(8, channels=16)


def test_pyramid(network):
    lr = torch.rand(2, 3, 5, 6)
    pyramid = network.pyramid(lr)
    assert network.scales == (2, 4, 8) == tuple(pyramid)
    assert all(image.shape == (2, 3, 5 * s, 6 * s) for s, image in pyramid.items())
    assert list(network.pyramid(lr, 4)) == [2, 4]


def test_a_new_scale_starts_as_the_nearest_enlargement_of_the_one_before(network):
    lr = torch.rand(2, 3, 5, 6)
    full = network.pyramid(lr)
    network.set_fade(0)
    start = network.pyramid(lr)
    torch.testing.assert_close(start[8], full[4].repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert torch.equal(start[4], full[4])
    network.set_fade(0.25)
    torch.testing.assert_close(network.pyramid(lr)[8], start[8].lerp(full[8], 0.25))
    assert torch.equal(network.pyramid(lr, 2)[2], full[2])  # the coarsest does not fade
    network.eval()  # validation and export have the full scale
    with_fade = network(lr)
    network.set_fade(1)
    assert torch.equal(network(lr), with_fade)


def test_the_layers_by_hand():
    network = PFSR(2, channels=4)
    lr = torch.rand(2, 3, 5, 6)

    def norm(layer, x):
        return F.batch_norm(x, None, None, layer.weight, layer.bias, training=True)

    conv, bn, _ = network.first
    x = norm(bn, F.conv2d(2 * lr - 1, conv.weight, conv.bias, padding=1)).relu()
    residual, up, bn, _ = network.stages[0].layers
    one, bn_one, _, two, bn_two, _ = residual.layers
    y = norm(bn_one, F.conv2d(x, one.weight * math.sqrt(2 / 36), one.bias, padding=1)).relu()
    y = norm(bn_two, F.conv2d(y, two.weight * math.sqrt(2 / 36), two.bias, padding=1)).relu()
    y = norm(bn, F.conv_transpose2d(x + y, up.weight, up.bias, stride=2, padding=1)).relu()
    head = network.stages[0].head
    expected = (F.conv2d(y, head.weight, head.bias) + 1) / 2
    torch.testing.assert_close(network(lr), expected, atol=1e-5, rtol=1e-4)


def test_equalized_convolutions_start_with_hes_variance():
    torch.manual_seed(0)
    layer = EqualizedConv3(64, 64)
    assert layer.weight.std().item() == pytest.approx(1, rel=0.02)
    assert not layer.bias.any()
    assert layer(torch.randn(4, 64, 16, 16)).std().item() == pytest.approx(
        math.sqrt(2), rel=0.06
    )  # the border has less


def test_arguments(tmp_path):
    assert_round_trip(PFSR(4, channels=8), torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, 8, not 3"):
        PFSR(3)
    with pytest.raises(ValueError, match="channels must be a multiple of 8 for x8, not 12"):
        PFSR(8, channels=12)
