"""A+ and ANR."""

import pytest
import torch
from small_classical import TINY, edges, random_regression

from facehall.classical import ANR, AnchoredRegression, APlus
from facehall.classical.anchored import atom_regressors, sample_regressors
from facehall.classical.samples import Samples
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.models.generators import Generator
from facehall.models.weights import load_generator, save_generator


def error(sr, hr, border=3):
    return float((sr - hr)[..., border:-border, border:-border].square().mean())


@pytest.mark.parametrize(("method", "ratio"), [("a_plus", 0.9), ("anr", 0.97)])
def test_fitted_methods_beat_bicubic_on_a_new_picture(method, ratio):
    net = TINY[method].fit(edges(60, 3), 3)
    hr = edges(60, 1, seed=9, channels=1)[0][None]
    lr = downscale_bicubic(hr, 3)
    sr = net(lr)
    assert sr.shape == hr.shape
    assert error(sr, hr) < ratio * error(upscale_bicubic(lr, 3), hr)


def test_fits_are_reproducible():
    first, again = (TINY["a_plus"].fit(edges(32), 2, seed=3) for _ in range(2))
    other = TINY["a_plus"].fit(edges(32), 2, seed=4)
    assert torch.equal(first.regressors, again.regressors)
    assert not torch.equal(first.anchors, other.anchors)


def test_zero_regressors_leave_bicubic():
    net = AnchoredRegression(2, 5, 7)
    lr = torch.rand(1, 1, 9, 8)
    assert torch.equal(net(lr), upscale_bicubic(lr, 2))


def test_the_most_correlated_anchor_is_used_whatever_its_sign():
    anchors = torch.eye(3)
    regressors = torch.arange(1.0, 4)[:, None, None].expand(3, 36, 3)
    net = AnchoredRegression.of(torch.zeros(3, 1, 10, 10), anchors, regressors)
    found = net._predict(torch.tensor([[0.1, -0.9, 0.2], [0.5, 0.1, 0.1]]))
    torch.testing.assert_close(found, torch.tensor([[2 * -0.6], [0.7]]).expand(2, 36))


def test_regressors_of_atoms():
    """Against the formula as printed: 1.01 H (L'L + r I)^-1 L', with atoms as columns."""
    atoms, targets = torch.nn.functional.normalize(torch.randn(10, 4), dim=1), torch.randn(10, 6)
    found = atom_regressors(atoms, targets, 3, 0.01)
    for k in (0, 7):
        near = (atoms @ atoms[k]).abs().argsort(descending=True)[:3]
        low, high = atoms[near].T, targets[near].T
        expected = 1.01 * high @ torch.linalg.inv(low.T @ low + 0.01 * torch.eye(3)) @ low.T
        torch.testing.assert_close(found[k], expected, atol=1e-3, rtol=1e-3)


def test_regressors_of_samples():
    """Against the formula as printed, with samples as columns; short features do not enlarge their targets."""
    features = torch.randn(60, 4) * torch.logspace(-2, 1, 60)[:, None]
    features[5] = 0
    targets, atom = torch.randn(60, 6), torch.nn.functional.normalize(torch.randn(1, 4), dim=1)
    (found,) = sample_regressors(atom, Samples(features, targets), 8, 0.1)
    lengths = features.norm(dim=1)
    unit = features / (lengths[:, None] + 1e-7)
    near = (unit - atom).norm(dim=1).argsort()[:8]
    low, high = unit[near].T, (targets / torch.where(lengths < 0.1, 1.0, lengths)[:, None])[near].T
    expected = high @ torch.linalg.inv(low.T @ low + 0.1 * torch.eye(8)) @ low.T
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_weights_file(tmp_path):
    net = random_regression()
    save_generator(tmp_path / "a.safetensors", net)
    read = load_generator(tmp_path / "a.safetensors")
    lr = torch.rand(1, 1, 8, 9)
    assert isinstance(read, AnchoredRegression)
    assert Generator.registry["AnchoredRegression"] is AnchoredRegression
    assert torch.equal(read(lr), net(lr))
    assert not torch.allclose(net(lr), upscale_bicubic(lr, 2), atol=1e-3)
    assert not any(parameter.requires_grad for parameter in read.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"atoms": 0}, "classical.atoms=0"),
        ({"neighbours": 2.5}, "classical.neighbours=2.5"),
        ({"iterations": True}, "classical.iterations=True"),
        ({"ridge": 0}, "classical.ridge=0"),
        ({"ridge": "much"}, "classical.ridge=much"),
        ({"shrink": 1.5}, "classical.shrink=1.5"),
        ({"samples": -1}, "classical.samples=-1"),
    ],
)
def test_invalid_settings(settings, message):
    with pytest.raises(FacehallError, match=message):
        APlus(**settings).fit(edges(20), 2)


def test_too_few_pictures():
    with pytest.raises(FacehallError, match="too few for a dictionary of 1024 atoms"):
        ANR().fit(edges(24, 1), 2)
