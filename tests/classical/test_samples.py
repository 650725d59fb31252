"""Training samples: luma, features and their number."""

import pytest
import torch
from small_classical import edges, random_kernels

from facehall.classical.patches import projection_kernels
from facehall.classical.samples import collect, learn_basis, luma_levels
from facehall.errors import FacehallError
from facehall.imaging.colour import rgb_to_y


def test_luma_has_8_bits():
    colour = torch.rand(3, 6, 5)
    (luma,) = luma_levels([colour])
    assert luma.dtype == torch.uint8
    torch.testing.assert_close(luma.float() / 255, rgb_to_y(colour)[0], atol=0.5001 / 255, rtol=0)
    assert torch.equal(luma_levels([colour[:1]])[0], colour[0].mul(255).round().to(torch.uint8))


def test_basis_is_orthonormal_and_keeps_the_energy():
    lumas = luma_levels(edges(48, 3))
    basis = learn_basis(lumas, 2, seed=0).flatten(0, 2)
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1]), atol=1e-5, rtol=0)
    everything = projection_kernels(torch.eye(4 * 36).reshape(4, 6, 6, -1), 2)
    rows = collect(lumas, everything, step=2).features
    kept, total = (rows @ basis).square().sum(), rows.square().sum()
    without_last = (rows @ basis[:, :-1]).square().sum()
    assert kept / total >= 0.999 - 1e-5
    assert without_last / total < 0.999


def test_features_and_targets_are_of_the_same_windows():
    lumas = luma_levels(edges(40, 1))
    samples = collect(lumas, random_kernels(2, 4))
    assert samples.features.shape == (16 * 16, 4)
    assert samples.targets.shape == (16 * 16, 36)
    flat = samples.features.abs().sum(1) < 1e-4
    assert flat.any()
    assert samples.targets[flat].abs().max() < samples.targets.abs().max() / 4


def test_limit_is_a_reproducible_choice_from_all_pictures():
    lumas = luma_levels(edges(40, 2) + edges(30, 1, seed=3))
    kernels = random_kernels(2, 4)
    everything = collect(lumas, kernels, sizes=(1.0, 0.9))
    few, again, other = (collect(lumas, kernels, 1, (1.0, 0.9), 100, seed) for seed in (1, 1, 2))
    assert len(few) == 100
    assert torch.equal(few.features, again.features)
    assert torch.equal(few.targets, again.targets)
    assert not torch.equal(few.features, other.features)
    both = torch.cat((everything.features, everything.targets), 1)
    chosen = torch.cat((few.features, few.targets), 1)
    assert torch.cdist(chosen, both).amin(1).max() < 1e-3
    assert len(collect(lumas, kernels, limit=10**9)) == 2 * 16**2 + 11**2
    assert len(collect(lumas, kernels, limit=1)) == 1


def test_progress_counts_every_picture():
    calls = []
    lumas = luma_levels(edges(24, 3))
    collect(lumas, random_kernels(2, 2), sizes=(1.0, 0.9), limit=2, advance=lambda: calls.append(1))
    assert len(calls) == 6


def test_pictures_without_content():
    with pytest.raises(FacehallError, match="flat"):
        learn_basis([torch.full((40, 40), 7, dtype=torch.uint8)], 2, seed=0)
    with pytest.raises(FacehallError, match="x4 needs 20 pixels on both sides"):
        collect(luma_levels(edges(19, 2)), random_kernels(4, 2))
