"""VGG16s: small, bundled, with the layers and magnitude of VGG16, and in agreement with it."""

from __future__ import annotations

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from facehall.config.build import build
from facehall.data import SampleSource
from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic, read_rgb, upscale_bicubic
from facehall.losses import PerceptualLoss, perceptual_distance
from facehall.metrics.cost import count_gmacs
from facehall.models.perceptual import VGG16S_LAYERS, VGG16S_WEIGHTS, VGG16Features, VGG16sFeatures

EQUAL = dict.fromkeys(VGG16S_LAYERS, 0.5)
IMAGES = torch.rand(2, 3, 48, 32, generator=torch.Generator().manual_seed(0))


def test_the_file_is_small_and_has_a_model_card():
    assert VGG16S_WEIGHTS.stat().st_size <= 2.5e6
    card = VGG16S_WEIGHTS.with_suffix(".md").read_text()
    assert "research" in card


def test_an_eighth_of_the_computation_of_vgg16_up_to_the_same_depth():
    full = count_gmacs(VGG16Features(VGG16S_LAYERS, pretrained=False), IMAGES)
    assert count_gmacs(VGG16sFeatures(), IMAGES) <= full / 8


def test_layer_names_and_strides_match_vgg16():
    found, full = VGG16sFeatures()(IMAGES), VGG16Features(VGG16S_LAYERS, pretrained=False)(IMAGES)
    assert list(found) == list(full) == list(VGG16S_LAYERS)
    assert all(found[name].shape[-2:] == full[name].shape[-2:] for name in full)


def test_no_deeper_than_needed():
    shallow = VGG16sFeatures({"conv2_2": 1.0})
    assert len(shallow.blocks) == 2
    found = shallow(IMAGES)
    assert list(found) == ["conv2_2"]
    torch.testing.assert_close(found["conv2_2"], VGG16sFeatures()(IMAGES)["conv2_2"])


def test_building_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    VGG16sFeatures()
    assert torch.equal(torch.get_rng_state(), before)


def test_frozen_with_a_finite_gradient_in_the_images():
    loss = PerceptualLoss(VGG16sFeatures(), EQUAL).train()
    assert not any(module.training for module in loss.extractor.modules())
    sr = (IMAGES * 1.5 - 0.2).requires_grad_()  # a generator's output is not clamped
    loss.distance(sr, IMAGES).backward()
    assert sr.grad.isfinite().all()
    assert (sr.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_the_default_perceptual_loss_needs_no_file_and_no_network(compose_config, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEHALL_OFFLINE", "1")
    for name in ("FACEHALL_CACHE", "FACEHALL_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    cfg = compose_config("train", "experiment=esrgan_vgg16s")
    loss = build(cfg.losses.perceptual, "losses.perceptual")
    assert loss.layers == EQUAL
    assert loss.distance(IMAGES.flip(0), IMAGES) > 0


@pytest.mark.parametrize("layers", [["conv1_2"], ["conv2_2", "relu3_3"], []])
def test_unknown_layer(layers):
    with pytest.raises(FacehallError, match=r"conv2_2 and conv3_3.*losses=\[charbonnier,vgg16,ragan\]\."):
        VGG16sFeatures(layers)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 3, 32)])
def test_wrong_shape(shape):
    with pytest.raises(FacehallError, match=r"at least 4 pixels; got"):
        VGG16sFeatures()(torch.rand(shape))


def test_unfit_weights_are_refused(tmp_path):
    with pytest.raises(FacehallError, match=r"nowhere\.safetensors: no such"):
        VGG16sFeatures(weights=tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("none")
    with pytest.raises(FacehallError, match="not a readable safetensors file"):
        VGG16sFeatures(weights=tmp_path / "text.safetensors")
    with pytest.raises(FacehallError, match=r"not weights of VGG16s: blocks\.0\.0\.weight"):
        VGG16sFeatures(widths=((8, 8), (16, 16), (32, 32, 32)))


@pytest.fixture
def distill(monkeypatch):
    """The experiment script as a module."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "experiments" / "vgg16s")
    return importlib.import_module("distill")


def test_folding_keeps_the_distances(distill):
    torch.manual_seed(0)
    student = distill.Student(((4, 4), (6, 6), (8, 8, 8)))
    x, y = IMAGES[:1], IMAGES[1:]
    wanted = student.distances(student.network(x), student.network(y))[0]
    shipped = student.folded()
    found = torch.stack([(shipped(x)[name] - shipped(y)[name]).square().mean() for name in VGG16S_LAYERS])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)


def sample_pairs():
    """Yield (clean, distorted): a 64x64 crop of each sample photograph, and the same with eight distortions."""
    rng = np.random.default_rng(0)
    for file in (file for which in ("train", "val", "test") for file in SampleSource().split(which)):
        picture = read_rgb(file.hr)
        top, left = (int(rng.integers(0, length - 64)) for length in picture.shape[:2])
        crop = picture[top : top + 64, left : left + 64].astype(np.float32) / 255
        found = [crop], distortions(crop, rng)
        yield (torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2).float() for x in found)


def distortions(crop, rng):
    def resampled(scale):
        small = downscale_bicubic(torch.from_numpy(crop).permute(2, 0, 1)[None], scale)
        return upscale_bicubic(small, scale)[0].permute(1, 2, 0).numpy()

    def compressed(quality):
        _, data = cv2.imencode(".jpg", (crop * 255).round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_COLOR) / 255

    noise = rng.standard_normal(crop.shape)
    blurred = [cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (0.7, 2)]
    noisy = [crop + sigma * noise for sigma in (0.02, 0.1)]
    return [*blurred, *noisy, compressed(80), compressed(20), resampled(2), resampled(4)]


def test_agrees_with_vgg16_in_order_and_magnitude(pretrained):
    full, small = VGG16Features(VGG16S_LAYERS, weights=pretrained["vgg16"]), VGG16sFeatures()
    wanted, found = [], []
    for clean, distorted in sample_pairs():
        for network, distances in ((full, wanted), (small, found)):
            features = network(clean)
            distances += [perceptual_distance(network(x), features, EQUAL).item() for x in distorted.split(1)]
    assert spearmanr(wanted, found)[0] > 0.95
    assert 0.8 < np.median(np.array(found) / np.array(wanted)) < 1.25
