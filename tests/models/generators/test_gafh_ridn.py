"""GAFH-RIDN: sizes, the network by hand in both readings, blocks without weights, files."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.models.generators import GAFHRIDN

TINY = {"blocks": 2, "ridbs": 2, "features": 4, "growth": 3}


@pytest.mark.parametrize(
    ("arguments", "parameters", "gmacs"),
    [
        ({"scale": 4}, 6_121_283, 15.6),
        ({"scale": 8}, 6_268_995, 22.8),
        ({"scale": 4, "growth": 32}, 4_350_275, 11.6),
        ({"scale": 4, "blocks": 2, "features": 32}, 819_427, 2.41),
        ({"scale": 4, "blocks": 2, "ridbs": 2, "features": 32}, 579_235, 1.86),
    ],
)
def test_published_sizes(arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image."""
    assert_size(lambda: GAFHRIDN(**arguments), parameters, gmacs)


@pytest.mark.parametrize("skip", ["own", "block"])
def test_by_hand(skip):
    torch.manual_seed(0)
    network = GAFHRIDN(4, **TINY, skip=skip).eval()
    norm = network.trunk[3]
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def leaky(x):
        return torch.where(x > 0, x, 0.2 * x)

    lr = torch.rand(2, 3, 5, 6)
    head = x = conv(network.first, lr)
    for dnb in network.trunk[:2]:
        outer = x
        for ridb in dnb.ridbs:
            source = x
            for block in ridb.inner:
                inner = leaky(conv(block.conv1, x))
                skipped = x if skip == "own" else source
                x = leaky(conv(block.conv2, torch.cat([x, inner], 1))) + skipped
            x = source + 0.2 * conv(ridb.conv, x)
        x = outer + 0.2 * x
    x = conv(network.trunk[2], x)
    scaled = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    x = head + scaled * norm.weight[:, None, None] + norm.bias[:, None, None]
    for up in network.up:
        x = leaky(F.pixel_shuffle(conv(up[0], x), 2))
    torch.testing.assert_close(network(lr), torch.sigmoid(2 * conv(network.last, x)))


def test_blocks_with_zero_convolutions():
    """A RIDB is then the identity; a DNB, which adds 0.2 times three of them, is not."""
    (dnb,) = GAFHRIDN(2, blocks=1, features=4).trunk[:1]
    for layer in dnb.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(dnb.ridbs[0](x), x)
    torch.testing.assert_close(dnb(x), 1.2 * x)


def test_every_parameter_gets_a_gradient():
    network = GAFHRIDN(2, **TINY)
    network(torch.rand(2, 3, 6, 6)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_every_scale(scale):
    assert GAFHRIDN(scale, **TINY)(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)


def test_arguments(tmp_path):
    assert_round_trip(GAFHRIDN(3, **TINY, skip="block", output="linear"), torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 3, 4, 8, not 5"):
        GAFHRIDN(5)
    with pytest.raises(ValueError, match="skip must be own or block, not 'none'"):
        GAFHRIDN(4, skip="none")
    with pytest.raises(ValueError, match="output must be linear or tanh"):
        GAFHRIDN(4, output="sigmoid")
