"""CSCN: size, a stage by hand on patches, constant images, initial weights, files."""

import pytest
import torch
from torch.nn import functional as F
from zoo_checks import assert_round_trip

from facehall.imaging import upscale_bicubic
from facehall.metrics import count_gmacs, count_parameters
from facehall.models.generators import CSCN
from facehall.models.generators.cscn import SparseCodingStage


@pytest.mark.parametrize(("scale", "stages", "gmacs"), [(2, 1, 0.417), (3, 2, 2.02), (4, 2, 2.02)])
def test_sizes(scale, stages, gmacs):
    """GMACs of a 48x48 LR image."""
    network = CSCN(scale)
    assert count_parameters(network) == stages * (81 * 100 + 100 * 128 + 128 * 128 + 128 * 25 + 25)
    with torch.device("meta"):
        assert count_gmacs(CSCN(scale), torch.empty(1, 1, 48, 48)) == pytest.approx(gmacs, rel=0.02)


def random_stage():
    stage = SparseCodingStage()
    torch.nn.init.normal_(stage.extract.weight)
    torch.nn.init.normal_(stage.code.weight, std=1.4)
    torch.nn.init.normal_(stage.recur.weight, std=0.1)
    torch.nn.init.normal_(stage.decode.weight)
    torch.nn.init.normal_(stage.pixel_weights, std=0.1)
    return stage.double()


def test_a_stage_by_hand():
    """Patch by patch, in matrices, with the predictions added where they belong."""
    torch.manual_seed(0)
    stage = random_stage()
    y = torch.rand(1, 1, 6, 7, dtype=torch.float64)
    height, width = 12, 14
    mirrored = torch.cat([y.flip(2), y, y.flip(2)], dim=2)
    mirrored = torch.cat([mirrored.flip(3), mirrored, mirrored.flip(3)], dim=3)
    enlarged = F.interpolate(mirrored, scale_factor=2, mode="bicubic")  # a = -0.75
    enlarged = enlarged[0, 0, height - 6 : 2 * height + 6, width - 6 : 2 * width + 6]

    features, code, recur = (layer.weight.flatten(1) for layer in (stage.extract, stage.code, stage.recur))
    total = torch.zeros(height + 12, width + 12, dtype=torch.float64)

    def shrink(x):
        return x.sign() * (x.abs() - 1).clamp(min=0)

    for top in range(height + 4):
        for left in range(width + 4):
            patch = enlarged[top : top + 9, left : left + 9]
            feature = features @ patch.flatten()
            z = code @ (feature / feature.norm())
            z = shrink(z + recur @ shrink(z))
            inner = patch[2:7, 2:7]
            prediction = stage.decode.weight.flatten(1) @ z
            prediction = prediction / prediction.norm() * 1.1 * (inner - inner.mean()).norm() * stage.pixel_weights
            total[top + 2 : top + 7, left + 2 : left + 7] += prediction.view(5, 5) + inner.mean() / 25
    torch.testing.assert_close(stage(y)[0, 0], total[6:-6, 6:-6])


def test_features_have_norm_one_whatever_the_contrast():
    """So a stage commutes with scaling and shifting the values, if its features have no mean."""
    torch.manual_seed(0)
    stage = SparseCodingStage().double()
    with torch.no_grad():  # in float32 they have one of 1e-8, more or less on so many threads
        stage.extract.weight.sub_(stage.extract.weight.mean(dim=(2, 3), keepdim=True))
    y = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(stage(255 * y + 3), 255 * stage(y) + 3)


def test_a_constant_image_stays_constant():
    network = CSCN(4)
    flat = torch.full((1, 1, 7, 6), 0.3)
    torch.testing.assert_close(network(flat), torch.full((1, 1, 28, 24), 0.3), atol=1e-5, rtol=0)
    flat.requires_grad_(True)
    network(flat).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert flat.grad.isfinite().all()


def test_training_starts_near_bicubic():
    torch.manual_seed(0)
    y = F.interpolate(torch.rand(1, 1, 5, 5), size=(20, 20), mode="bicubic")
    for scale in (2, 4):
        error = (CSCN(scale)(y) - upscale_bicubic(y, scale)).square().mean().sqrt()
        assert error < 0.1 * y.std()


@pytest.mark.parametrize(("scale", "scales"), [(2, (2,)), (3, (3,)), (4, (2, 4)), (8, (2, 4, 8))])
def test_pyramid(scale, scales):
    network = CSCN(scale)
    y = torch.rand(2, 1, 5, 4)  # smaller than the margin
    pyramid = network.pyramid(y)
    assert network.scales == scales == tuple(pyramid)
    assert all(image.shape == (2, 1, 5 * s, 4 * s) for s, image in pyramid.items())
    if scale == 4:
        coarse = network.pyramid(y, 2)
        assert list(coarse) == [2]
        assert torch.equal(coarse[2], pyramid[2])


def test_every_parameter_gets_a_gradient():
    network = CSCN(4)
    network(torch.rand(2, 1, 8, 8)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_arguments(tmp_path):
    assert_round_trip(CSCN(4), torch.rand(1, 1, 9, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 3, 4, 8, not 5"):
        CSCN(5)
