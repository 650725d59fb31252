"""L1 at several sizes and MS-SSIM: by hand, their gradients, and patches that are too small."""

import pytest
import torch
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.losses import MSSSIMLoss, MultiScaleL1Loss, Outputs
from facehall.metrics import ssim


def loss(term, sr, hr):
    return term(Outputs({"sr": sr}), {"hr": hr})


def pictures(height, width):
    torch.manual_seed(0)
    hr = F.interpolate(torch.rand(2, 3, 9, 9), (height, width), mode="bicubic").clamp(0, 1)
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


def test_multi_scale_l1_by_hand():
    sr, hr = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, -1.0], [3.0, 1.0]]]])
    assert loss(MultiScaleL1Loss([1.0, 0.5]), sr, hr).item() == 1.5 + 0.5 * 1.0
    assert loss(MultiScaleL1Loss([2.0]), sr, hr).item() == 2 * 1.5


def test_one_size_of_ms_ssim_is_ssim():
    sr, hr = pictures(20, 24)
    torch.testing.assert_close(loss(MSSSIMLoss(1), sr, hr), (1 - ssim(sr, hr).mean()).float())


def test_ms_ssim_by_hand():
    """Contrast-structure at full size and SSIM at half, from windows written out as a convolution."""
    sr, hr = pictures(22, 26)
    powers = torch.tensor([0.0448, 0.2856], dtype=torch.float64)
    powers = powers / powers.sum()
    offsets = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window = (window / window.sum())[None, None]
    factors = []
    for i in range(2):
        x, y = (F.avg_pool2d(image.double(), 2**i).flatten(0, 1)[:, None] for image in (sr, hr))
        mx, my = F.conv2d(x, window), F.conv2d(y, window)
        vx, vy = (F.conv2d(a * a, window) - m**2 for a, m in ((x, mx), (y, my)))
        structure = (2 * (F.conv2d(x * y, window) - mx * my) + 0.03**2) / (vx + vy + 0.03**2)
        luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        factors.append((structure * luminance if i else structure).mean((1, 2, 3)))
    expected = 1 - (factors[0] ** powers[0] * factors[1] ** powers[1]).mean()
    torch.testing.assert_close(loss(MSSSIMLoss(2), sr, hr), expected.float())


@pytest.mark.parametrize("term", [MSSSIMLoss(2), MultiScaleL1Loss()])
def test_equal_images_cost_nothing_and_the_loss_falls_along_its_gradient(term):
    sr, hr = pictures(24, 24)
    assert loss(term, hr, hr).item() == pytest.approx(0, abs=1e-6)
    sr.requires_grad_()
    before = loss(term, sr, hr)
    (gradient,) = torch.autograd.grad(before, sr)
    assert gradient.isfinite().all()
    assert loss(term, sr - 1e-3 * gradient / gradient.norm() * sr.numel() ** 0.5, hr) < before


def test_opposite_structure_has_a_finite_gradient():
    hr = pictures(22, 22)[1]
    sr = (1 - hr).requires_grad_()
    loss(MSSSIMLoss(2), sr, hr).backward()
    assert sr.grad.isfinite().all()


def test_small_patches_are_refused_by_name():
    small = torch.rand(1, 3, 12, 30)
    with pytest.raises(FacehallError, match=r"MS-SSIM at 3 sizes needs HR patches of at least 44 pixels, not 12"):
        loss(MSSSIMLoss(3), small, small)
    with pytest.raises(FacehallError, match=r"L1 at 5 sizes needs HR patches of at least 16 pixels, not 12"):
        loss(MultiScaleL1Loss(), small, small)
    with pytest.raises(ValueError, match="scales must be 1 to 5, not 6"):
        MSSSIMLoss(6)
    with pytest.raises(ValueError, match="at least one number"):
        MultiScaleL1Loss([])
