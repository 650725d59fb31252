"""SRResNet: size, the network by hand, variants, files."""

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.models.generators import SRResNet

LT = {"blocks": 5, "trunk_end": "prelu", "output": "tanh"}


@pytest.mark.parametrize(
    ("arguments", "parameters", "gmacs"),
    [
        ({"scale": 4}, 1_547_350, 5.11),
        ({"scale": 2}, 1_399_637, 3.32),
        ({"scale": 8}, 1_695_063, 12.3),
        ({"scale": 4, "blocks": 8, "features": 32}, 247_342, 1.09),
        ({"scale": 4, **LT}, 734_092 - 10 * 64, 3.24),  # without biases before batch norms
    ],
)
def test_published_sizes(arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image."""
    assert_size(lambda: SRResNet(**arguments), parameters, gmacs)


def test_by_hand():
    torch.manual_seed(0)
    network = SRResNet(4, blocks=2, features=4).eval()
    for i, buffer in enumerate(b for name, b in network.named_buffers() if "running" in name):
        buffer.uniform_(0.5, 1.0 + i)

    def conv(layer, x):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def norm(layer, x):
        scaled = (x - layer.running_mean[:, None, None]) / (layer.running_var[:, None, None] + layer.eps).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]

    def prelu(layer, x):
        return torch.where(x > 0, x, layer.weight * x)

    lr = torch.rand(1, 3, 5, 6)
    first = x = prelu(network.first[1], conv(network.first[0], lr))
    for block in network.trunk[:2]:
        conv1, norm1, activation, conv2, norm2 = block.layers
        x = x + norm(norm2, conv(conv2, prelu(activation, norm(norm1, conv(conv1, x)))))
    x = first + norm(network.trunk[3], conv(network.trunk[2], x))
    for i in (0, 3):
        x = prelu(network.up[i + 2], F.pixel_shuffle(conv(network.up[i], x), 2))
    torch.testing.assert_close(network(lr), conv(network.last, x))


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_every_scale(scale):
    assert SRResNet(scale, blocks=1, features=4)(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)


def test_tanh_keeps_the_output_in_range():
    torch.manual_seed(0)
    linear, squashed = (SRResNet(2, 1, 4, "prelu", output).eval() for output in ("linear", "tanh"))
    squashed.load_state_dict(linear.state_dict())
    lr = 20 * torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(squashed(lr), torch.sigmoid(2 * linear(lr)))


def test_every_parameter_gets_a_gradient():
    network = SRResNet(2, blocks=1, features=4)
    network(torch.rand(2, 3, 6, 6)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_arguments(tmp_path):
    assert_round_trip(SRResNet(3, 1, 4, "prelu", "tanh"), torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 3, 4, 8, not 5"):
        SRResNet(5)
    with pytest.raises(ValueError, match="trunk_end must be norm or prelu, not 'relu'"):
        SRResNet(4, trunk_end="relu")
    with pytest.raises(ValueError, match="output must be linear or tanh"):
        SRResNet(4, output="sigmoid")
