"""AdderSR: sizes, the order within a unit, and what makes its twins of EDSR and VDSR."""

import pytest
import torch
from torch import nn

from facehall.inference.tiling.receptive_field import receptive_radius
from facehall.models.generators import AdderEDSR, AdderVDSR
from facehall.models.generators.adder_sr import AdderUnit, PowerActivation
from facehall.models.weights import load_generator, save_generator

TINY = {"features": 4, "execution": "torch"}


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_parameters():
    """EDSR and VDSR less the biases of the replaced layers, plus batch norm and one power per adder layer."""
    assert parameters(AdderEDSR(4, blocks=16, features=64)) == 1_517_571 + 32 * (-64 + 128 + 1)
    assert parameters(AdderVDSR(layers=20, features=64)) == 665_921 + 18 * (-64 + 128 + 1)
    small = AdderEDSR(4, blocks=8, features=32)
    assert parameters(small) == 233_491
    assert sum(p.numel() for name, p in small.named_parameters() if "adder" in name) == 147_456


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_scales(scale):
    net = AdderEDSR(scale, blocks=1, **TINY)
    assert net(torch.rand(2, 3, 5, 6)).shape == (2, 3, 5 * scale, 6 * scale)


def test_bad_arguments():
    with pytest.raises(ValueError, match="scale must be one of"):
        AdderEDSR(5)
    with pytest.raises(ValueError, match="at least 3"):
        AdderVDSR(layers=2)


def test_order_within_a_unit():
    unit = AdderUnit(3, execution="torch").eval()
    nn.init.uniform_(unit.norm.running_mean)
    x = torch.randn(1, 3, 4, 5)
    with torch.no_grad():
        unit.activation[-1].alpha.fill_(2.0)
        torch.testing.assert_close(unit(x), (unit.norm(unit.adder(x)) + x).relu().square(), rtol=1e-4, atol=1e-6)


def test_the_second_unit_of_a_block_keeps_negative_values():
    block = AdderEDSR(4, blocks=1, **TINY).blocks[0]
    assert (block.units[0](torch.randn(1, 4, 6, 6)) >= 0).all()
    assert (block.units[1](torch.randn(1, 4, 6, 6)) < 0).any()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.7])
def test_power_activation(alpha):
    power = PowerActivation()
    with torch.no_grad():
        power.alpha.fill_(alpha)
    x = torch.tensor([-4.0, -1.0, -1e-9, 0.0, 1.0, 4.0], requires_grad=True)
    expected = torch.tensor([-(4.0**alpha), -1.0, 0.0, 0.0, 1.0, 4.0**alpha])
    out = power(x)
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=2e-3)
    out.sum().backward()
    assert x.grad.isfinite().all()
    assert power.alpha.grad.isfinite().all()


def test_a_zero_residual_leaves_the_bicubic_image():
    net = AdderVDSR(layers=3, **TINY)
    nn.init.zeros_(net.last.weight)
    image = torch.rand(1, 1, 7, 9)
    assert torch.equal(net(image), image)


def test_edsr_without_a_body_returns_a_constant_image():
    net = AdderEDSR(2, blocks=1, **TINY)
    for layer in (net.head, net.last):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    torch.testing.assert_close(net(torch.rand(1, 3, 4, 4)), net.mean.expand(1, 3, 8, 8))


@pytest.mark.parametrize("net", [AdderEDSR(2, blocks=1, **TINY), AdderVDSR(2, layers=4, **TINY)])
def test_every_parameter_gets_a_gradient(net):
    channels = 1 if net.colour == "y" else 3
    net(torch.rand(2, channels, 8, 8)).square().mean().backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_receptive_field():
    """One pixel a layer: head, four adder layers, the convolution behind them, and two more at twice the size."""
    assert receptive_radius(AdderEDSR(2, blocks=2, **TINY).eval()) == 1 + 4 + 1 + 1 + 1


def test_weights_file(tmp_path):
    net = AdderEDSR(3, blocks=1, rate=0.1, **TINY).eval()
    net.blocks[0].units[0].norm.running_mean.fill_(-3.0)
    save_generator(tmp_path / "a.safetensors", net)
    loaded = load_generator(tmp_path / "a.safetensors")
    assert loaded.arguments == {"scale": 3, "blocks": 1, "features": 4, "residual_scale": 1.0, "rate": 0.1}
    lr = torch.rand(1, 3, 5, 5)
    torch.testing.assert_close(loaded(lr), net(lr), rtol=1e-4, atol=1e-5)
