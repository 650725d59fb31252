"""The learned back-projection."""

import pytest
import torch
from torch.testing import assert_close

from facehall.imaging import downscale_bicubic, upscale_bicubic
from facehall.models.layers.gate import MAX_GAIN, DetailGate


def parts(scale, size=(16, 14)):
    """An input and a residual."""
    random = torch.Generator().manual_seed(0)
    lr = torch.rand(2, 3, *size, generator=random)
    residual = torch.randn(2, 3, *(scale * side for side in size), generator=random) / 10
    return lr, residual


def with_gain(gate, gain):
    """The gate with the same gain everywhere."""
    torch.nn.init.constant_(gate.gain.bias, gain / (MAX_GAIN - gain))  # the inverse of softsign
    return gate


def test_untrained_it_changes_nothing():
    lr, residual = parts(4)
    assert torch.equal(DetailGate(4, 6)(lr, residual), residual)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("gain", [0.3, 0.9])
def test_a_constant_gain_is_a_step_of_back_projection(scale, gain):
    lr, residual = parts(scale)
    image = upscale_bicubic(lr, scale) + residual
    expected = image + gain * upscale_bicubic(lr - downscale_bicubic(image, scale), scale)
    found = upscale_bicubic(lr, scale) + with_gain(DetailGate(scale, 6), gain)(lr, residual)
    inner = (..., slice(6 * scale, -6 * scale), slice(6 * scale, -6 * scale))
    assert_close(found[inner], expected[inner], atol=1e-5, rtol=0)


def test_the_gain_depends_on_the_surroundings():
    lr, residual = parts(4, (128, 128))
    gate = DetailGate(4, 6)
    torch.nn.init.normal_(gate.gain.weight)
    lr.requires_grad_()
    change = gate(lr, residual) - residual
    change[..., 256, 256].sum().backward()
    seen = lr.grad.abs().sum(dim=(0, 1))
    assert seen[64, 64 + 20] > 0
    assert seen[:16].sum() == 0


def test_its_kernels_are_not_stored_and_follow_the_precision():
    gate = with_gain(DetailGate(2, 6), 0.5).double()
    assert {name.partition(".")[0] for name in gate.state_dict()} == {"first", "second", "down", "wide", "gain"}
    assert gate(*(each.double() for each in parts(2))).dtype == torch.float64
