"""LPIPS proves itself by values that were published, or found with the authors' own code and weights."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from facehall.assets import resolve
from facehall.errors import FacehallError
from facehall.metrics.lpips import LPIPS, MIN_SIZE

SHARED = os.environ.get("FACEHALL_SHARED")


@pytest.fixture(scope="module")
def build(pretrained):
    """The metric by its net, built once."""
    return functools.cache(LPIPS)


@pytest.fixture(params=["alex", "vgg"])
def metric(request, build):
    return build(request.param)


def random_pair(count=10, size=100):
    torch.manual_seed(123)
    return torch.rand(count, 3, size, size), torch.rand(count, 3, size, size)


def test_golden_value(metric):
    sr, hr = random_pair()
    values = metric(sr, hr)
    assert values.shape == (10,)
    assert values.mean().item() == pytest.approx({"alex": 0.14856, "vgg": 0.34852}[metric.net], abs=1e-5)


def test_value_in_torchmetrics_documentation(build):
    """`LearnedPerceptualImagePatchSimilarity(net_type="vgg")`, torchmetrics 1.0: 0.3493.

    Its example seeds before it builds the network, so the images come after the random numbers of that.
    """
    torch.manual_seed(123)
    torchvision.models.vgg16(init_weights=False)
    for channels in (64, 128, 256, 512, 512):
        torch.nn.Conv2d(channels, 1, 1, bias=False)
    value = build("vgg")(torch.rand(10, 3, 100, 100), torch.rand(10, 3, 100, 100)).mean().item()
    assert value == pytest.approx(0.3493, abs=5e-5)


@pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the authors' example images")
def test_authors_example_images(build):
    folder = Path(str(SHARED)) / "data" / "benchmark" / "lpips_examples"
    images = []
    for name in ("ex_ref", "ex_p0", "ex_p1"):
        pixels = np.asarray(Image.open(folder / f"{name}.png").convert("RGB"))
        images.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)
    reference, p0, p1 = images
    metric = build("alex")
    assert metric(reference, p0).item() == pytest.approx(0.7219, abs=5e-5)
    assert metric(reference, p1).item() == pytest.approx(0.1376, abs=5e-5)


def test_zero_for_equal_images_and_symmetric(metric):
    sr, hr = random_pair(2, 64)
    assert metric(sr, sr).abs().max() == 0
    assert torch.allclose(metric(sr, hr), metric(hr, sr), atol=1e-6)


def test_each_pair_on_its_own(metric):
    sr, hr = random_pair(3, 64)
    alone = torch.cat([metric(sr[i : i + 1], hr[i : i + 1]) for i in range(3)])
    assert torch.allclose(metric(sr, hr), alone, atol=1e-5)


def test_smallest_image(metric):
    size = MIN_SIZE[metric.net]
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(metric(images, 1 - images)).all()
    for shape in ((size - 1, size), (size, size - 1)):
        with pytest.raises(FacehallError, match=f"at least {size}x{size} pixels; got {shape[0]}x{shape[1]}"):
            metric(torch.rand(1, 3, *shape), torch.rand(1, 3, *shape))
    with pytest.raises((RuntimeError, FacehallError)):  # the limit is the network's own
        metric.network(images[..., 1:, 1:], images[..., 1:, 1:])


def test_wrong_shapes(metric):
    for a, b in (((1, 3, 64, 64), (2, 3, 64, 64)), ((1, 1, 64, 64),) * 2, ((3, 64, 64),) * 2):
        with pytest.raises(FacehallError, match=r"one shape \(B, 3, H, W\)"):
            metric(torch.rand(a), torch.rand(b))


def test_frozen_but_differentiable_in_the_images(metric):
    owner = torch.nn.Sequential(metric).train()
    assert owner.training
    assert not any(module.training for module in metric.modules())
    sr, hr = random_pair(1, 64)
    sr.requires_grad_()
    metric(sr, hr).sum().backward()
    assert sr.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in metric.parameters())


def test_mixed_precision_does_not_change_the_value(metric):
    sr, hr = random_pair(1, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = metric(sr.bfloat16(), hr.bfloat16())
    assert torch.equal(mixed, metric(sr.bfloat16().float(), hr.bfloat16().float()))


def test_building_is_silent_and_leaves_the_random_state_alone(metric, capfd, recwarn):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    LPIPS(metric.net)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_unknown_net():
    with pytest.raises(FacehallError, match="no net 'squeeze'; choose alex or vgg"):
        LPIPS("squeeze")


def test_weights_of_the_other_backbone_are_refused(metric):
    other = {"alex": "vgg", "vgg": "alex"}[metric.net]
    with pytest.raises(FacehallError, match=r"is not a valid \w+ weights file"):
        LPIPS(other, weights=resolve({"alex": "alexnet", "vgg": "vgg16"}[metric.net]))
