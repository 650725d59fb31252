"""Orthogonal matching pursuit and K-SVD."""

import pytest
import torch

from facehall.classical.dictionary import coupled_atoms, learn_atoms, sparse_codes
from facehall.errors import FacehallError


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1)


def reconstruction(samples, atoms, sparsity=3):
    chosen, coefficients = sparse_codes(samples, atoms, sparsity)
    return (coefficients[..., None] * atoms[chosen]).sum(1)


@pytest.fixture
def sparse_samples():
    """Sums of two of twelve directions, and those directions."""
    random = torch.Generator().manual_seed(0)
    atoms = unit(torch.randn(12, 8, generator=random))
    chosen = torch.rand(600, 12, generator=random).argsort(1)[:, :2]
    weights = torch.rand(600, 2, generator=random) + 0.5
    return (weights[..., None] * atoms[chosen]).sum(1), atoms


def test_pursuit_finds_the_codes_in_an_orthonormal_dictionary():
    atoms = torch.linalg.qr(torch.randn(8, 8))[0]
    chosen = torch.rand(40, 8).argsort(1)[:, :3]
    weights = torch.tensor([3.0, -2.0, 1.0]).expand(40, -1)
    samples = (weights[..., None] * atoms[chosen]).sum(1)
    found, coefficients = sparse_codes(samples, atoms, 3)
    assert torch.equal(found, chosen)  # the largest first
    torch.testing.assert_close(coefficients, weights, atol=1e-4, rtol=0)


def test_pursuit_projects_on_different_atoms():
    samples, atoms = torch.randn(200, 6), unit(torch.randn(20, 6))
    samples[0] = 0
    chosen, coefficients = sparse_codes(samples, atoms, 3)
    assert all(len(set(row)) == 3 for row in chosen.tolist())
    assert coefficients[0].abs().max() == 0
    error = samples - reconstruction(samples, atoms)
    across = (error[:, None] * atoms[chosen]).sum(2)  # of a least-squares fit, orthogonal to what it uses
    assert across.abs().max() < 1e-4
    assert (error.norm(dim=1) <= (samples - reconstruction(samples, atoms, 2)).norm(dim=1) + 1e-5).all()


def test_k_svd_lowers_the_error_and_keeps_unit_length(sparse_samples):
    samples, _ = sparse_samples
    errors = []
    for iterations in (1, 3, 15):
        atoms = learn_atoms(samples, 12, sparsity=2, iterations=iterations, seed=1)
        torch.testing.assert_close(atoms.norm(dim=1), torch.ones(12))
        errors.append(float((samples - reconstruction(samples, atoms, 2)).square().mean()))
    assert errors[2] < errors[0] * 0.75
    assert errors[2] <= errors[1] * 1.05
    assert torch.equal(atoms, learn_atoms(samples, 12, sparsity=2, iterations=15, seed=1))


def test_k_svd_stays_at_the_true_dictionary(sparse_samples):
    from facehall.classical.dictionary import _update

    samples, atoms = sparse_samples
    chosen, coefficients = sparse_codes(samples, atoms, 2)
    exact = (samples - reconstruction(samples, atoms, 2)).norm(dim=1) < 1e-4
    updated = _update(samples[exact], atoms, chosen[exact], coefficients[exact])
    torch.testing.assert_close((updated * atoms).sum(1).abs(), torch.ones(12), atol=1e-3, rtol=0)


def test_unused_and_parallel_atoms_are_replaced(sparse_samples):
    from facehall.classical.dictionary import _replace

    samples, atoms = sparse_samples
    atoms = atoms.clone()
    atoms[3] = atoms[1]
    uses = torch.full((12,), 50)
    uses[5] = 0
    residual = torch.zeros_like(samples)
    residual[[7, 9]] = 1.0
    found = _replace(samples, atoms.clone(), uses, residual)
    changed = (found != atoms).any(1).nonzero()[:, 0].tolist()
    assert changed == [3, 5]
    worst = unit(samples[[7, 9]])
    assert torch.cdist(found[changed], worst).amin(1).max() < 1e-5


def test_coupled_atoms_recover_a_linear_map(sparse_samples):
    samples, atoms = sparse_samples
    mix = torch.randn(8, 5)
    targets = reconstruction(samples, atoms, 2) @ mix
    torch.testing.assert_close(coupled_atoms(samples, targets, atoms, 2), atoms @ mix, atol=1e-3, rtol=1e-3)


def test_too_few_samples():
    samples = torch.randn(9, 4)
    samples[2] = 0
    with pytest.raises(FacehallError, match="8 patches that are not flat, too few for a dictionary of 9 atoms"):
        learn_atoms(samples, 9)
