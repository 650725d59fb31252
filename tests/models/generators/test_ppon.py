"""PPON: sizes, the network by hand, its three parts, files."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.models.generators import PPON

TINY = {"blocks": 1, "structure_blocks": 1, "realism_blocks": 1, "features": 4, "branch": 2}


@pytest.mark.parametrize(
    ("arguments", "parameters", "gmacs"),
    [
        ({}, 17_267_657, None),  # 48.3, not counted here: it takes seconds
        ({"blocks": 3, "structure_blocks": 1, "realism_blocks": 1}, 3_392_585, 16.4),
        ({"blocks": 3, "structure_blocks": 1, "realism_blocks": 1, "features": 32, "branch": 16}, 851_497, 4.146),
    ],
)
def test_published_sizes(arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image."""
    assert_size(lambda: PPON(**arguments), parameters, gmacs)


@pytest.fixture
def network():
    """With weights everywhere, as after a training."""
    torch.manual_seed(0)
    network = PPON(**TINY)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network


def conv(layer, x):
    """Correlation written as a sum over the taps, with zeros beyond the border."""
    side, rate = layer.weight.shape[-1], layer.dilation[0]
    reach = side // 2 * rate
    padded = F.pad(x, (reach,) * 4)
    height, width = x.shape[-2:]
    out = layer.bias[:, None, None]
    for i in range(side):
        for j in range(side):
            view = padded[..., i * rate : i * rate + height, j * rate : j * rate + width]
            out = out + torch.einsum("oc,bchw->bohw", layer.weight[..., i, j], view)
    return out


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def test_by_hand(network):
    def triple(module, x):
        source = x
        for block in module.blocks:
            inner = leaky(conv(block.first, x))
            maps, total = [], 0
            for rate, layer in enumerate(block.dilated, 1):
                assert layer.dilation == (rate, rate)
                total = total + conv(layer, inner)
                maps.append(total)
            x = x + 0.2 * conv(block.fuse, leaky(torch.cat(maps, 1)))
        return source + 0.2 * x

    def image(part, x):
        for up in network.images[part][:2]:
            x = leaky(conv(up[1], x.repeat_interleave(2, -1).repeat_interleave(2, -2)))
        return conv(network.images[part][4], leaky(conv(network.images[part][2], x)))

    lr = torch.rand(2, 3, 5, 6)
    content = network.features["content"]
    x = conv(content.first, lr)
    x = x + conv(content.body[1], triple(content.body[0], x))
    expected = image("content", x)
    for part in ("structure", "realism"):
        x = triple(network.features[part][0], x)
        expected = expected + image(part, x)
    torch.testing.assert_close(network(lr), expected)


@pytest.mark.parametrize("part", PPON.parts)
def test_a_part_alone(network, part):
    lr = torch.rand(1, 3, 5, 6)
    whole = network(lr)
    network.set_part(part)
    assert torch.equal(network(lr), whole)
    image = network.outputs(lr)["pyramid"][4]
    assert torch.equal(image, whole) == (part == "realism")
    image.square().mean().backward()
    with_gradient = {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None}
    assert with_gradient == {part}
    assert all(p.grad.any() for p in network.parameters() if p.grad is not None)


def test_all_parts_together(network):
    network.outputs(torch.rand(1, 3, 5, 6))["pyramid"][4].square().mean().backward()
    assert all(p.grad.any() for p in network.parameters())


def test_later_parts_start_without_effect():
    network = PPON(**TINY)
    lr = torch.rand(1, 3, 5, 6)
    whole = network(lr)
    network.set_part("content")
    assert torch.equal(network.outputs(lr)["pyramid"][4], whole)
    network.set_part("realism")
    network.outputs(lr)["pyramid"][4].mean().backward()
    assert network.images["realism"][-1].weight.grad.any()


def test_arguments(tmp_path):
    assert_round_trip(PPON(**TINY), torch.rand(1, 3, 5, 6), tmp_path)
