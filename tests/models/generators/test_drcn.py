"""DRCN: size, recursion by hand, supervision of every recursion."""

import pytest
import torch
from torch import nn
from zoo_checks import assert_round_trip, assert_size

from facehall.losses import Outputs, RecursionLoss
from facehall.models.generators import DRCN


@pytest.mark.parametrize(
    ("recursions", "features", "parameters", "gmacs"),
    [(16, 256, 1_775_121, 719 / 16), (9, 64, 112_010, 26 / 16), (9, 32, 28_362, 6.6 / 16)],
)
def test_published_sizes(recursions, features, parameters, gmacs):
    """GMACs of a 48x48 LR image at x4, here at x1."""
    assert_size(lambda: DRCN(4, recursions, features), parameters, gmacs)


def test_recursions_by_hand():
    network = DRCN(2, recursions=3, features=4)
    nn.init.normal_(network.recursion.weight, std=0.2)
    with torch.no_grad():
        network.weights.copy_(torch.tensor([0.5, -0.2, 0.4]))
    y = torch.rand(1, 1, 6, 8)
    state, expected = network.embedding(y), []
    for _ in range(3):
        state = network.recursion(state).relu()
        first, _, last = network.reconstruction
        expected.append(y + last(first(state).relu()))
    outputs = network.outputs(y)
    for found, image in zip(outputs["recursions"], expected, strict=True):
        torch.testing.assert_close(found, image)
    torch.testing.assert_close(outputs["pyramid"][2], 0.5 * expected[0] - 0.2 * expected[1] + 0.4 * expected[2])
    assert torch.equal(network(y), outputs["pyramid"][2])
    assert set(outputs) == set(network.provides)


def test_a_zero_last_layer_returns_the_input():
    network = DRCN(2, recursions=4, features=8)
    for parameter in network.reconstruction[-1].parameters():
        nn.init.zeros_(parameter)
    y = torch.rand(1, 1, 8, 10)
    torch.testing.assert_close(network(y), y)


def test_the_recursion_starts_as_the_identity():
    network = DRCN(2, recursions=2, features=8)
    first, second = network.outputs(torch.rand(1, 1, 8, 8))["recursions"]
    assert torch.equal(first, second)


def test_recursive_supervision():
    hr = torch.rand(2, 1, 6, 6).expand(-1, 3, -1, -1)
    predictions = [hr[:, :1] + 0.1, hr[:, :1] - 0.3]
    outputs, batch = Outputs({"recursions": predictions}), {"hr": hr}
    assert float(RecursionLoss()(outputs, batch)) == pytest.approx((0.01 + 0.09) / 2, rel=1e-4)
    assert float(RecursionLoss("l1")(outputs, batch)) == pytest.approx(0.2, rel=1e-4)
    with pytest.raises(ValueError, match="kind must be one of mse, l1, charbonnier"):
        RecursionLoss("huber")


def test_every_parameter_gets_a_gradient():
    network = DRCN(2, recursions=2, features=8)
    y = torch.rand(1, 1, 8, 8)
    (network(y) - y).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_arguments(tmp_path):
    assert_round_trip(DRCN(3, recursions=2, features=4), torch.rand(1, 1, 9, 6), tmp_path)
    with pytest.raises(ValueError, match="recursions must be at least 1"):
        DRCN(recursions=0)
