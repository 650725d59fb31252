"""Losses of face networks: heatmaps, attention, edges, YUV, inpainting, identity, the gradient penalty."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facehall.errors import FacehallError
from facehall.imaging import downscale_bicubic
from facehall.imaging.occlusion import OCCLUDED
from facehall.losses import (
    EdgeLoss,
    GradientPenalty,
    IdentityLoss,
    InpaintingLoss,
    LandmarkAttentionLoss,
    LandmarkLoss,
    LogitDrift,
    LuminanceChrominanceLoss,
    Outputs,
)
from facehall.losses.edges import canny
from facehall.losses.heatmaps import five_points, gaussian_heatmaps, landmark_points

TEMPLATE = [[0.25, 0.5], [0.75, 0.5]]


def test_a_heatmap_is_a_gaussian_around_its_landmark():
    maps = gaussian_heatmaps(torch.tensor([[[0.5625, 0.3125]]]), (8, 8), sigma=0.25)  # pixel (4, 2); 2 pixels
    assert maps[0, 0, 2, 4] == 1
    assert maps[0, 0, 2, 6].item() == pytest.approx(np.exp(-0.5))
    assert maps[0, 0, 4, 2].item() == pytest.approx(np.exp(-1))
    wide = gaussian_heatmaps(torch.tensor([[[0.5, 0.5]]]), (4, 12), sigma=0.25)[0, 0]  # of the shorter side
    assert wide[1, 6].item() == pytest.approx(np.exp(-0.25))


def test_landmarks_are_places_whatever_the_size_of_the_picture():
    hr = torch.zeros(1, 3, 16, 32)
    points = landmark_points({"hr": hr, "landmarks": torch.tensor([[[-0.5, -0.5], [15.5, 3.5], [31.5, 15.5]]])}, None)
    torch.testing.assert_close(points, torch.tensor([[[0.0, 0.0], [0.5, 0.25], [1.0, 1.0]]]))
    given = landmark_points({"hr": hr.repeat(2, 1, 1, 1)}, torch.tensor(TEMPLATE))
    torch.testing.assert_close(given, torch.tensor([TEMPLATE, TEMPLATE]))


def test_five_of_68_points():
    points = torch.arange(68.0)[None, :, None].repeat(1, 1, 2)
    assert five_points(points)[0, :, 0].tolist() == [38.5, 44.5, 30, 48, 54]


def test_attention_by_hand():
    hr = torch.zeros(1, 3, 16, 16)
    sr = torch.zeros(1, 3, 16, 16)
    sr[..., 8, 4] = 0.5
    loss = LandmarkAttentionLoss(sigma=1 / 16)
    at, away = (torch.tensor([[[x, 8.0], [0.0, 0.0]]]) for x in (4.0, 6.0))
    assert loss({"sr": sr}, {"hr": hr, "landmarks": at}).item() == pytest.approx(0.5 / 256)
    assert loss({"sr": sr}, {"hr": hr, "landmarks": away}).item() == pytest.approx(0.5 / 256 * np.exp(-2))
    assert loss.needs[-1] == "batch.landmarks"
    fixed = LandmarkAttentionLoss(1 / 16, TEMPLATE)
    assert "batch.landmarks" not in fixed.needs
    weight = np.exp(-0.25)  # half a pixel from (4, 8) to the corner at a quarter and half of the picture, both ways
    assert fixed({"sr": sr}, {"hr": hr}).item() == pytest.approx(0.5 / 256 * weight)
    assert fixed({"sr": sr}, {"hr": hr, "landmarks": at}).item() == pytest.approx(0.5 / 256)  # annotations first


def test_predicted_heatmaps():
    points = torch.rand(2, 5, 2)
    batch = {"hr": torch.zeros(2, 3, 16, 16), "landmarks": points * 16 - 0.5}
    right = {scale: gaussian_heatmaps(points, (4 * scale, 4 * scale), 0.1) for scale in (1, 2)}
    loss = LandmarkLoss(0.1)
    assert loss({"heatmaps": right}, batch).item() == pytest.approx(0, abs=1e-10)
    wrong = {1: right[1] + 0.5, 2: right[2]}
    assert loss({"heatmaps": wrong}, batch).item() == pytest.approx(0.125, rel=1e-4)
    many = torch.rand(2, 68, 2)
    five = {1: gaussian_heatmaps(five_points(many), (4, 4), 0.1)}
    batch["landmarks"] = many * 16 - 0.5
    assert loss({"heatmaps": five}, batch).item() == pytest.approx(0, abs=1e-10)
    with pytest.raises(FacehallError, match=r"7 landmarks, but the pictures have 68: set generator\.landmarks=68"):
        loss({"heatmaps": {1: torch.zeros(2, 7, 4, 4)}}, batch)


@pytest.mark.parametrize("term", [LandmarkLoss, LandmarkAttentionLoss])
def test_landmark_settings_are_checked(term):
    with pytest.raises(ValueError, match="sigma must be above 0, not 0"):
        term(0)
    for template in ([[0.5]], [[0.5, 1.5]], []):
        with pytest.raises(ValueError, match=r"template must be a list of points \[x, y\]"):
            term(0.1, template)
    assert len(term(0.1).description.split()) < len(term(0.1, TEMPLATE).description.split())


def test_edges_are_opencvs_at_each_scale():
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    hr = torch.from_numpy(blocks).permute(0, 3, 1, 2) / 255
    known = np.stack([cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 50, 255) for image in blocks]) / 255
    found = canny(hr, 50, 255)
    assert found.shape == (2, 1, 32, 32)
    np.testing.assert_array_equal(found[:, 0], known)
    assert 0.02 < known.mean() < 0.3
    coarse = canny(downscale_bicubic(hr, 2), 50, 255)
    outputs = {"edges": {4: torch.zeros(2, 1, 16, 16), 8: torch.full((2, 1, 32, 32), 1.0)}}
    expected = coarse.mean() + (1 - found).mean()
    torch.testing.assert_close(EdgeLoss()(outputs, {"hr": hr}), expected)
    with pytest.raises(ValueError, match="thresholds must be two numbers, low before high"):
        EdgeLoss([200, 100])


def test_grey_errors_are_all_luminance():
    hr = torch.rand(2, 3, 4, 4)
    loss = LuminanceChrominanceLoss()
    assert loss({"sr": hr + 0.3}, {"hr": hr}).item() == pytest.approx(0.09 / 3, rel=1e-4)
    red = hr.clone()
    red[:, 0] += 0.3
    y, u, v = 0.299, 0.492 * -0.299, 0.877 * (1 - 0.299)
    assert loss({"sr": red}, {"hr": hr}).item() == pytest.approx(0.09 * (y**2 + u**2 + v**2) / 3, rel=1e-2)


def test_hidden_pixels_count_more_at_every_scale():
    lr, hr = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 16, 16)
    lr[..., :2, :2] = torch.tensor(OCCLUDED)[:, None, None]
    targets = {1: downscale_bicubic(hr, 4), 2: downscale_bicubic(hr, 2), 4: hr}
    batch = {"lr": lr, "hr": hr}

    def value(scale, rows, columns):
        images = {s: target.clone() for s, target in targets.items()}
        images[scale][..., rows, columns] += 0.5
        outputs = {"inpainted": images[1], "pyramid": {2: images[2], 4: images[4]}}
        return InpaintingLoss(6, 0.5)(outputs, batch).item()

    assert value(4, slice(0, 8), slice(0, 8)) == pytest.approx(6 * 0.5 / 4)
    assert value(4, slice(8, 16), slice(0, 8)) == pytest.approx(0.5 / 4)
    assert value(2, slice(0, 4), slice(0, 4)) == pytest.approx(0.5 / 2 * 6 * 0.5 / 4)
    assert value(1, slice(0, 2), slice(2, 4)) == pytest.approx(0.5 / 2 * 0.5 / 4)
    with pytest.raises(ValueError, match="hidden and coarse_weight must be 0 or more"):
        InpaintingLoss(-1)


def test_identity_is_one_minus_the_cosine():
    embedder = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    loss = IdentityLoss(embedder)
    sr, hr = (torch.rand(2, 3, 8, 8, requires_grad=True) for _ in range(2))
    value = loss({"sr": sr}, {"hr": hr})
    torch.testing.assert_close(value, 1 - F.cosine_similarity(sr.mean((2, 3)), hr.mean((2, 3))).mean())
    value.backward()
    assert sr.grad.any()
    assert hr.grad is None
    assert loss.description == "identity by Sequential"


def test_the_penalty_pulls_gradients_to_norm_one():
    class Linear(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.weight = nn.Parameter(torch.full((3, 4, 4), norm / 48**0.5))

        def forward(self, images):
            return (images * self.weight).sum(dim=(1, 2, 3))

    images = {"sr": torch.rand(2, 3, 4, 4), "hr": torch.rand(2, 3, 4, 4)}
    for norm, penalty in ((0.5, 0.25), (3.0, 4.0)):
        critic = Linear(norm)
        outputs = Outputs({"sr": images["sr"], "discriminator": critic})
        value = GradientPenalty()(outputs, {"hr": images["hr"]})
        assert value.item() == pytest.approx(penalty, abs=1e-5)
        value.backward()
        assert (critic.weight.grad.sum() > 0) == (norm > 1)


def test_drift_is_the_mean_square_of_real_logits():
    assert LogitDrift()({"real_logits": torch.tensor([[1.0], [3.0]])}, {}).item() == 5
