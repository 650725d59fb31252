"""The penalty on patterns of the LR grid."""

import pytest
import torch

from facehall.losses import GridLoss, Outputs


def grid_loss(error: torch.Tensor, period: int, cells: int = 6) -> float:
    hr = torch.rand(error.shape)
    lr = torch.zeros(*error.shape[:2], *(side // period for side in error.shape[-2:]))
    return GridLoss(cells)(Outputs({"sr": hr + error}), {"hr": hr, "lr": lr}).item()


@pytest.mark.parametrize("period", [2, 4])
def test_a_pattern_of_the_grid_counts_by_its_strength(period):
    cell = torch.randn(1, 3, period, period, dtype=torch.double)
    cell -= cell.mean((-2, -1), keepdim=True)
    cell /= cell.square().mean((-2, -1), keepdim=True).sqrt()
    error = 0.01 * cell.repeat(2, 1, 8, 9)
    assert grid_loss(error, period) == pytest.approx(0.01, rel=0.01)
    assert grid_loss(0.5 * error, period) == pytest.approx(0.005, rel=0.05)


def test_other_errors_hardly_count():
    torch.manual_seed(0)
    flat = torch.full((1, 3, 96, 96), 0.1)
    waves = 0.1 * torch.sin(torch.arange(96) * 2 * torch.pi / 7).expand(1, 3, 96, 96)
    assert grid_loss(flat, 4) < 2e-4
    assert grid_loss(waves, 4, cells=14) < 0.01  # seven and four have 28 pixels in common
    assert grid_loss(0.1 * torch.randn(1, 3, 96, 96), 4) < 0.1 / 4


def test_the_gradient_is_finite_without_an_error():
    sr = torch.rand(1, 3, 32, 32)
    own = sr.clone().requires_grad_()
    GridLoss()(Outputs({"sr": own}), {"hr": sr, "lr": torch.zeros(1, 3, 8, 8)}).backward()
    assert own.grad.isfinite().all()
