"""Gradient descent with bounded steps, against its formula and torch's SGD."""

import pytest
import torch
from optimizer_steps import convolutions, random_gradients, values

from facehall.training.optimizers import ClippedSGD


def test_steps_by_hand():
    network = convolutions(dtype=torch.float64)
    optimizer = ClippedSGD(network, lr=0.1, momentum=0.8, weight_decay=0.5, clip=0.05, bias_rate=0.2, last_rate=0.4)
    inner, last, bias = network[1].weight, network[-1].weight, network[1].bias
    expected = [
        # value, gradient's place, rate, decay, bound on the gradient
        [inner[2, 1, 0, 1].item(), lambda: inner.grad[2, 1, 0, 1].item(), 0.1, 0.5, 0.5],
        [last[1, 2, 0, 1].item(), lambda: last.grad[1, 2, 0, 1].item(), 0.04, 0.5, 1.25],
        [bias[3].item(), lambda: bias.grad[3].item(), 0.02, 0.0, 2.5],
    ]
    momenta, clipped = [0.0] * 3, 0
    for step in range(5):
        random_gradients(network, step)
        for i, (w, gradient, rate, decay, bound) in enumerate(expected):
            g = max(-bound, min(bound, gradient()))
            clipped += g != gradient()
            momenta[i] = 0.8 * momenta[i] + g + decay * w
            expected[i][0] = w - rate * momenta[i]
        optimizer.step()
    assert clipped  # else the bound is not tested
    found = [inner[2, 1, 0, 1].item(), last[1, 2, 0, 1].item(), bias[3].item()]
    assert found == pytest.approx([each[0] for each in expected])


def test_a_falling_rate_widens_the_bound():
    network = convolutions()
    optimizer = ClippedSGD(network, lr=1.0, momentum=0.0, clip=0.5)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    before = values(network)
    random_gradients(network, 0)  # far below 0.5 / 0.01
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    optimizer.step()
    for old, gradient, new in zip(before, gradients, network.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.01 * gradient)


def test_without_a_bound_it_is_torchs_sgd():
    ours, theirs = convolutions(), convolutions()
    optimizers = ClippedSGD(ours, lr=0.05, momentum=0.9), torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for step in range(4):
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            random_gradients(network, step)
            optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_rate_of_zero_moves_nothing():
    """At the first step of a warm-up; the bound would be infinite."""
    network = convolutions()
    before = values(network)
    optimizer = ClippedSGD(network, lr=0.0, clip=0.1)
    random_gradients(network, 0)
    optimizer.step()
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"clip": 0.0}, "clip must be positive, or null"),
        ({"bias_rate": -1.0}, "bias_rate must be at least 0"),
        ({"last_rate": -1.0}, "last_rate must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClippedSGD(convolutions(), **settings)
