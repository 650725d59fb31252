"""SOAP against an independent statement of its algorithm by the matrices of the bases."""

import torch
from optimizer_steps import convolutions, random_gradients
from torch import nn

from facehall.training.optimizers import SOAP
from facehall.training.optimizers.soap import rotate

BETA1, BETA2, SHAMPOO, LR, EPS = 0.8, 0.9, 0.7, 0.1, 1e-3


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 4), nn.Linear(4, 2)).double()


def align(q, reference):
    """Flip the columns of an eigenbasis as in another one: their signs are arbitrary."""
    return q * (q * reference).sum(0).sign()


def test_a_matrix_takes_adams_steps_in_the_eigenbasis():
    """Algorithm 3 for a matrix: L, R and their bases, refreshed every second step."""
    network = linear()
    optimizer = SOAP(network, LR, (BETA1, BETA2), EPS, SHAMPOO, frequency=2)
    weight = network[1].weight
    w = weight.detach().clone()
    random_gradients(network, 0)
    g = weight.grad.clone()
    optimizer.step()
    assert torch.equal(weight, w)  # the first step only sets the bases
    left, right = (1 - SHAMPOO) * g @ g.T, (1 - SHAMPOO) * g.T @ g
    bases = [torch.linalg.eigh(c).eigenvectors.flip(1) for c in (left, right)]
    q_l, q_r = (align(q, own) for q, own in zip(bases, optimizer.state[weight]["bases"], strict=True))
    # Vectors of the null space (5 columns, rank 4) are fixed up to the sign, which V does not see.
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t in range(1, 6):
        random_gradients(network, t)
        g = weight.grad.clone()
        optimizer.step()
        m = BETA1 * m + (1 - BETA1) * g
        turned = q_l.T @ g @ q_r
        v = BETA2 * v + (1 - BETA2) * turned**2
        n = (q_l.T @ m @ q_r / (1 - BETA1**t)) / ((v / (1 - BETA2**t)).sqrt() + EPS)
        w = w - LR * q_l @ n @ q_r.T
        left = SHAMPOO * left + (1 - SHAMPOO) * g @ g.T
        right = SHAMPOO * right + (1 - SHAMPOO) * g.T @ g
        if t % 2 == 0:
            by_left = torch.argsort((q_l.T @ left @ q_l).diag(), descending=True)
            by_right = torch.argsort((q_r.T @ right @ q_r).diag(), descending=True)
            v = v[by_left][:, by_right]
            q_l, q_r = (torch.linalg.qr(c @ q).Q for c, q in ((left, q_l[:, by_left]), (right, q_r[:, by_right])))
        torch.testing.assert_close(weight.detach(), w)


def test_rotations_are_along_each_axis_and_can_be_undone():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    q = [torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q for n in x.shape]
    torch.testing.assert_close(rotate(x, q), torch.einsum("abc,ai,bj,ck->ijk", x, *q))
    torch.testing.assert_close(rotate(rotate(x, q), q, back=True), x)
    q[1] = None
    torch.testing.assert_close(rotate(x, q), torch.einsum("abc,ai,ck->ibk", x, q[0], q[2]))


def test_the_bases_of_a_convolution_stay_orthogonal_and_find_the_eigenvectors():
    network = convolutions(dtype=torch.float64)
    optimizer = SOAP(network, frequency=1, shampoo_beta=0.99)
    scale = torch.logspace(0, -2, 6, dtype=torch.float64).view(6, 1, 1, 1)
    for step in range(60):
        random_gradients(network, step)
        network[2].weight.grad.mul_(scale)
        optimizer.step()
    state = optimizer.state[network[2].weight]
    assert [basis.shape[0] for basis in state["bases"]] == [6, 6, 9]
    for basis in state["bases"]:
        torch.testing.assert_close(basis.T @ basis, torch.eye(len(basis), dtype=torch.float64))
    covariance, basis = state["covariances"][0], state["bases"][0]
    diagonal = basis.T @ covariance @ basis
    assert (diagonal - diagonal.diag().diag()).norm() < 1e-2 * diagonal.norm()
    assert torch.equal(diagonal.diag().sort(descending=True).values, diagonal.diag())


def test_long_axes_and_1x1_kernels_keep_their_coordinates():
    network = convolutions()
    optimizer = SOAP(network, max_size=6)
    random_gradients(network, 0)
    optimizer.step()
    bases = optimizer.state[network[4].weight]["bases"]  # 6 -> 8 channels, 1x1
    assert [basis is None for basis in bases] == [True, False, True]


def test_without_bases_it_is_adam():
    network, reference = convolutions(), convolutions()
    ours = SOAP(network, lr=0.01, betas=(0.8, 0.9), max_size=1)
    theirs = torch.optim.Adam(reference.parameters(), lr=0.01, betas=(0.8, 0.9))
    random_gradients(network, 9)
    for layer in network[1:-1]:
        layer.bias.grad = None
    ours.step()  # the first step, without effect on the matrices
    for a, b in zip(network, reference, strict=True):
        b.load_state_dict(a.state_dict())
    for step in range(3):
        for model, optimizer in ((network, ours), (reference, theirs)):
            random_gradients(model, step)
            optimizer.step()
    torch.testing.assert_close(network[2].weight, reference[2].weight)
