"""Lion against its algorithm, one number at a time."""

import math

import torch
from optimizer_steps import convolutions, random_gradients

from facehall.training.optimizers import Lion


def test_steps_by_hand():
    network = convolutions(dtype=torch.float64)
    optimizer = Lion(network, lr=0.1, betas=(0.8, 0.9), weight_decay=0.5)
    weight, bias = network[1].weight, network[1].bias
    w, b, m_w, m_b = weight[2, 1, 0, 1].item(), bias[3].item(), 0.0, 0.0
    for step in range(4):
        random_gradients(network, step)
        g_w, g_b = weight.grad[2, 1, 0, 1].item(), bias.grad[3].item()
        optimizer.step()
        w = w * (1 - 0.1 * 0.5) - 0.1 * math.copysign(1, 0.8 * m_w + 0.2 * g_w)
        b = b - 0.1 * math.copysign(1, 0.8 * m_b + 0.2 * g_b)
        m_w, m_b = 0.9 * m_w + 0.1 * g_w, 0.9 * m_b + 0.1 * g_b
    torch.testing.assert_close(weight[2, 1, 0, 1].item(), w)
    torch.testing.assert_close(bias[3].item(), b)


def test_without_a_gradient_in_its_history_a_weight_stays():
    network = convolutions()
    before = network[1].weight.detach().clone()
    optimizer = Lion(network, lr=0.1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(network[1].weight, before)
