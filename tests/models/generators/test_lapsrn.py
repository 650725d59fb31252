"""LapSRN and MS-LapSRN: size, the two branches by hand, initial weights, files."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.metrics import count_parameters
from facehall.models.generators import LapSRN, MSLapSRN
from facehall.models.generators.lapsrn import image_upsampling


@pytest.mark.parametrize(
    ("arguments", "parameters", "gmacs"),
    [
        ({"scale": 2}, 407_441, 0.94),
        ({"scale": 4}, 814_242, 4.70),
        ({"scale": 8, "depth": 5}, 667_123, 10.8),
        ({"scale": 8}, 1_221_043, 19.7),
        ({"scale": 4, "features": 32}, 204_386, 1.18),
        ({"scale": 4, "depth": 5}, 444_962, 2.58),
    ],
)
def test_published_sizes(arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image."""
    assert_size(lambda: LapSRN(**arguments), parameters, gmacs)


@pytest.mark.parametrize("arguments", [{"scale": 2}, {"scale": 8}, {"scale": 4, "recursions": 2}])
def test_ms_lapsrn_shares_its_weights(arguments):
    with torch.device("meta"):
        assert count_parameters(MSLapSRN(**arguments)) == 222_801


@pytest.mark.parametrize("kind", [LapSRN, MSLapSRN])
def test_levels_double_the_size(kind):
    network = kind(8, depth=1, features=4)
    y = torch.rand(2, 1, 5, 7)
    pyramid = network.pyramid(y)
    assert network.scales == (2, 4, 8) == tuple(pyramid)
    assert all(image.shape == (2, 1, 5 * s, 7 * s) for s, image in pyramid.items())
    assert torch.equal(network(y), pyramid[8])
    part = network.outputs(y, 4)["pyramid"]
    assert list(part) == [2, 4]
    assert torch.equal(part[4], pyramid[4])


def test_images_start_bilinear():
    """Half-pixel phase, but with zeros beyond the border."""
    y = torch.rand(1, 1, 6, 5)
    bilinear = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(image_upsampling()(y)[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1])


def test_zero_residuals_leave_the_image_branch():
    network = LapSRN(4, depth=1, features=4)
    for level in network.levels:
        nn.init.zeros_(level.residual.weight)
    y = torch.rand(1, 1, 6, 5)
    coarse = network.levels[0].image(y)
    pyramid = network.pyramid(y)
    assert torch.equal(pyramid[2], coarse)
    assert torch.equal(pyramid[4], network.levels[1].image(coarse))


def transposed(layer, x):
    """A 3x3 transposed convolution of stride 2 as a convolution of the image with zeros in between."""
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
    spread[..., ::2, ::2] = x
    kernel = layer.weight.transpose(0, 1).flip(2, 3)
    return F.conv2d(F.pad(spread, (2, 2, 2, 2)), kernel, layer.bias)[..., :-1, :-1]


def randomized(network):
    """Biases other than 0, and a first layer of ordinary size."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def test_lapsrn_by_hand():
    network = randomized(LapSRN(2, depth=2, features=3))
    y = torch.rand(1, 1, 4, 5)
    (level,) = network.levels

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=1)

    x = F.leaky_relu(conv(network.first[0], y), 0.2)
    for i in (0, 2):
        x = F.leaky_relu(conv(level.features[i], x), 0.2)
    x = F.leaky_relu(transposed(level.features[4], x), 0.2)
    torch.testing.assert_close(network(y), level.image(y) + conv(level.residual, x))


def test_ms_lapsrn_by_hand():
    network = randomized(MSLapSRN(4, depth=2, recursions=2, features=3))
    image = y = torch.rand(1, 1, 4, 5)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=1)

    x = conv(network.first, y)
    for _ in range(2):
        source = x
        for _ in range(2):
            inner = conv(network.block[1], F.leaky_relu(x, 0.2))
            x = source + conv(network.block[3], F.leaky_relu(inner, 0.2))
        x = transposed(network.up[1], F.leaky_relu(x, 0.2))
        image = network.image(image) + conv(network.residual, x)
    torch.testing.assert_close(network(y), image)


def test_initial_weights():
    torch.manual_seed(0)
    network = LapSRN(2, depth=2, features=32)
    he = math.sqrt(2 / (9 * 32))
    assert network.first[0].weight.std().item() == pytest.approx(1e-3, rel=0.1)
    for layer in (network.levels[0].features[0], network.levels[0].features[4], network.levels[0].residual):
        assert layer.weight.std().item() == pytest.approx(he, rel=0.1)
        assert not layer.bias.any()


@pytest.mark.parametrize("kind", [LapSRN, MSLapSRN])
def test_arguments(tmp_path, kind):
    assert_round_trip(kind(4, depth=2, features=4), torch.rand(1, 1, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, 8, not 3"):
        kind(3)
