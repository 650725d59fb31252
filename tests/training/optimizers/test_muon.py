"""Newton-Schulz against the SVD, and Muon against torch's on flattened weights."""

import math

import pytest
import torch
from optimizer_steps import convolutions, random_gradients
from torch import nn

from facehall.training.optimizers import Muon
from facehall.training.optimizers.muon import COEFFICIENTS, orthogonalise


def quintic(s, times):
    a, b, c = COEFFICIENTS
    for _ in range(times):
        s = a * s + b * s**3 + c * s**5
    return s


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
@pytest.mark.parametrize("iterations", [1, 5])
def test_singular_values_go_through_the_quintic(shape, iterations):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    expected = u @ torch.diag_embed(quintic(s / s.norm(dim=-1, keepdim=True), iterations)) @ vh
    torch.testing.assert_close(orthogonalise(matrices, iterations), expected)


def test_five_iterations_are_nearly_orthogonal_in_float32():
    torch.manual_seed(0)
    s = torch.linalg.svdvals(orthogonalise(torch.randn(4, 16, 144)))
    assert s.min() > 0.65
    assert s.max() < 1.25


def test_scale_does_not_matter_and_zeros_stay_zeros():
    torch.manual_seed(0)
    matrices = torch.randn(2, 4, 6)
    torch.testing.assert_close(orthogonalise(matrices), orthogonalise(1e-4 * matrices))
    assert torch.equal(orthogonalise(0 * matrices), 0 * matrices)


def test_a_matrix_has_the_same_result_in_any_stack():
    torch.manual_seed(0)
    matrices = torch.randn(4, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(orthogonalise(matrices)[2:3], orthogonalise(matrices[2:3]))


class Flattened(nn.Module):
    """The hidden weights of `convolutions`, each as one matrix."""

    def __init__(self, network):
        super().__init__()
        self.matrices = nn.ParameterList(
            nn.Parameter(layer.weight.detach().flatten(1).clone()) for layer in list(network)[1:-1]
        )


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon exists from torch 2.9 on")
@pytest.mark.parametrize("nesterov", [True, False])
def test_it_equals_torchs_on_the_flattened_weights(monkeypatch, nesterov):
    """Torch's Newton-Schulz works in bfloat16; with ours in its place all else must agree."""
    from torch.optim import _muon

    monkeypatch.setattr(_muon, "_zeropower_via_newtonschulz", lambda g, *_: orthogonalise(g[None])[0])
    network = convolutions(dtype=torch.float64)
    flat = Flattened(network)
    settings = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": nesterov}
    ours = Muon(network, muon_lr=0.05, **settings)
    theirs = torch.optim.Muon(flat.parameters(), lr=0.05, **settings)
    for step in range(4):
        random_gradients(network, step)
        for matrix, layer in zip(flat.matrices, list(network)[1:-1], strict=True):
            matrix.grad = layer.weight.grad.flatten(1)
        ours.step()
        theirs.step()
    for matrix, layer in zip(flat.matrices, list(network)[1:-1], strict=True):
        torch.testing.assert_close(layer.weight.flatten(1), matrix)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon exists from torch 2.9 on")
def test_it_equals_torchs_own_up_to_bfloat16():
    network = convolutions()
    flat = Flattened(network)
    ours = Muon(network, muon_lr=0.05)
    theirs = torch.optim.Muon(flat.parameters(), lr=0.05, weight_decay=0.0)
    random_gradients(network, 0)
    for matrix, layer in zip(flat.matrices, list(network)[1:-1], strict=True):
        matrix.grad = layer.weight.grad.flatten(1)
    before = [matrix.detach().clone() for matrix in flat.matrices]
    ours.step()
    theirs.step()
    for matrix, start, layer in zip(flat.matrices, before, list(network)[1:-1], strict=True):
        step = matrix - start
        assert (layer.weight.flatten(1) - matrix).norm() < 0.05 * step.norm()


def test_a_first_step_by_hand():
    """A gradient of orthonormal rows has equal singular values: its update is the quintic of 1 / sqrt(rows)."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1, bias=False), nn.Conv2d(8, 3, 1)).double()
    start = network[1].weight.detach().clone()
    q = torch.linalg.qr(torch.randn(8, 4, dtype=torch.float64)).Q
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    network[1].weight.grad = 7 * q.view(8, 4, 1, 1)
    Muon(network, muon_lr=0.1).step()
    size = quintic(1 / math.sqrt(4), 5)
    torch.testing.assert_close(network[1].weight, start - 0.1 * math.sqrt(8 / 4) * size * q.view(8, 4, 1, 1))


def test_everything_else_is_updated_as_by_adam():
    network, reference = convolutions(), convolutions()
    ours = Muon(network, lr=0.01, betas=(0.8, 0.9), eps=1e-6)
    theirs = torch.optim.Adam(reference.parameters(), lr=0.01, betas=(0.8, 0.9), eps=1e-6)
    for step in range(3):
        random_gradients(network, step)
        random_gradients(reference, step)
        ours.step()
        theirs.step()
    for layer, expected in zip(network, reference, strict=True):
        torch.testing.assert_close(layer.bias, expected.bias)
    for i in (0, -1):
        torch.testing.assert_close(network[i].weight, reference[i].weight)
    assert not torch.allclose(network[1].weight, reference[1].weight)


def test_channels_last_weights_take_the_same_steps():
    plain, turned = convolutions(), convolutions().to(memory_format=torch.channels_last)
    for network in (plain, turned):
        optimizer = Muon(network)
        for step in range(2):
            random_gradients(network, step)
            if network is turned:
                for parameter in network.parameters():
                    parameter.grad = parameter.grad.clone(memory_format=torch.preserve_format)
                    if parameter.ndim == 4:
                        parameter.grad = parameter.grad.to(memory_format=torch.channels_last)
            optimizer.step()
    for a, b in zip(plain.parameters(), turned.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert turned[1].weight.is_contiguous(memory_format=torch.channels_last)
