"""Losses of identity by a recognition network, and of parts of the face."""

import pytest
import skimage.data
import torch

from facehall.errors import FacehallError
from facehall.faces.recognition import RECOGNISERS, Kind
from facehall.imaging import downscale_bicubic, resize_bicubic, to_tensor
from facehall.losses import FacePointsLoss, Outputs, PartsLoss, PyramidPixelLoss, RecognitionLoss, charbonnier

FIVE = [[0.25, 0.25], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.75, 0.75]]
SIDE = 16


class Colours(torch.nn.Module):
    def forward(self, chips):
        return chips.mean((2, 3))


@pytest.fixture
def colours(monkeypatch):
    """A recognition network whose embedding is the mean colour of the face."""
    five = tuple((8 * x - 0.5, 8 * y - 0.5) for x, y in FIVE)
    monkeypatch.setitem(RECOGNISERS, "colours", Kind(lambda weights: Colours(), 3, 8, five, "cosine", 0.5))


def test_identity_compares_sr_with_hr_and_moves_sr_only(colours):
    sr, hr = (torch.rand(2, 3, SIDE, SIDE, requires_grad=True) for _ in range(2))
    loss = RecognitionLoss("colours", template=FIVE)
    assert loss.needs == ("outputs.sr", "batch.hr")
    found = loss(Outputs({"sr": sr}), {"hr": hr})
    similarity = torch.nn.functional.cosine_similarity(sr.mean((2, 3)), hr.mean((2, 3)), dim=1)
    assert torch.allclose(found, (1 - similarity).mean(), atol=1e-3)
    found.backward()
    assert sr.grad.abs().sum() > 0
    assert hr.grad is None
    assert loss(Outputs({"sr": hr}), {"hr": hr}).abs() < 1e-6
    assert not list(loss.parameters()) or not any(p.requires_grad for p in loss.parameters())
    assert loss.state_dict() == {}


@pytest.mark.parametrize("count", [5, 68, 468])
def test_landmarks_of_every_scheme_align(colours, count):
    """Five, iBUG's 68 and the mesh's 468 give the same chip where their groups lie on the same places."""
    from facehall.faces.mesh_points import FIVE_GROUPS
    from facehall.losses.heatmaps import _EYES_NOSE_MOUTH

    groups = {5: [[i] for i in range(5)], 68: _EYES_NOSE_MOUTH, 468: FIVE_GROUPS}[count]
    points = torch.zeros(1, count, 2)
    for group, place in zip(groups, FIVE, strict=True):
        points[0, list(group)] = torch.tensor(place) * SIDE - 0.5
    sr, hr = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE)
    loss = RecognitionLoss("colours")
    assert "batch.landmarks" in loss.needs
    wanted = RecognitionLoss("colours", template=FIVE)(Outputs({"sr": sr}), {"hr": hr})
    assert torch.allclose(loss(Outputs({"sr": sr}), {"hr": hr, "landmarks": points}), wanted, atol=1e-6)


def test_other_landmarks_are_refused(colours):
    batch = {"hr": torch.rand(1, 3, SIDE, SIDE), "landmarks": torch.zeros(1, 7, 2)}
    with pytest.raises(FacehallError, match="5, 68 or 468 landmarks, but the pictures have 7"):
        RecognitionLoss("colours")(Outputs({"sr": batch["hr"]}), batch)


def test_points_that_moved_are_measured_and_pull_sr_back():
    """A face shifted by 1/16 of its side; following the gradient brings its points closer to HR's."""
    hr = sample_face(64)
    shifted = hr.roll(4, -1).requires_grad_()
    loss = FacePointsLoss()
    assert loss(Outputs({"sr": hr}), {"hr": hr}) < 2e-4
    found = loss(Outputs({"sr": shifted}), {"hr": hr})
    assert 0.03 < found < 0.09
    found.backward()
    assert hr.grad is None
    closer = shifted.detach() - 0.02 * shifted.grad / shifted.grad.norm() * 64
    assert loss(Outputs({"sr": closer}), {"hr": hr}) < found
    assert loss.state_dict() == {}


def sample_face(side):
    """The sample's face, about as FFHQ frames one: (1, 3, side, side)."""
    crop = to_tensor(skimage.data.astronaut()[20:230, 120:330])
    return resize_bicubic(crop, (side, side)).clamp(0, 1)[None]


def test_parts_count_by_their_weights():
    sr, hr = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    batch = {"hr": hr, "parsing": labels}
    outputs = Outputs({"pyramid": {4: sr}})
    assert torch.allclose(PartsLoss()(outputs, batch), charbonnier(sr, hr))
    labels[:, 1] = 3
    labels[:, 2] = 5
    wanted = (sr - hr).abs()
    wanted[:, :, 1] *= 2
    wanted[:, :, 2] = 0
    assert torch.allclose(PartsLoss({3: 2.0, 5: 0.0}, "l1")(outputs, batch), wanted.mean())
    assert torch.allclose(PartsLoss({}, "mse")(outputs, batch), (sr - hr).square().mean())


@pytest.mark.parametrize("kind", ["mse", "l1", "charbonnier"])
def test_parts_of_coarser_scales_count_by_their_share(kind):
    pyramid = {2: torch.rand(1, 3, 4, 4), 4: torch.rand(1, 3, 8, 8)}
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    outputs, batch = Outputs({"pyramid": pyramid}), {"hr": torch.rand(1, 3, 8, 8), "parsing": labels}
    plain = PyramidPixelLoss(kind)(outputs, batch)
    assert torch.allclose(PartsLoss({3: 5.0}, kind)(outputs, batch), plain)
    labels[:] = 3
    assert torch.allclose(PartsLoss({3: 5.0}, kind)(outputs, batch), 5 * plain)
    labels[:] = 0
    labels[:, 0, 0] = 3  # a quarter of a coarse pixel
    pyramid[4] = batch["hr"]  # only the coarse scale errs
    grown = PartsLoss({3: 5.0}, "l1")(outputs, batch) - PyramidPixelLoss("l1")(outputs, batch)
    error = (pyramid[2] - downscale_bicubic(batch["hr"], 2)).abs()[0, :, 0, 0].sum()
    assert torch.allclose(grown, 0.5 * error / pyramid[2].numel(), atol=1e-6)


def test_invalid_parts_are_refused():
    with pytest.raises(ValueError, match="not 'l2'"):
        PartsLoss(kind="l2")
    with pytest.raises(ValueError, match="of at least 0"):
        PartsLoss({3: -1.0})
    batch = {"hr": torch.rand(1, 3, 8, 8), "parsing": torch.zeros(1, 4, 4, dtype=torch.int64)}
    with pytest.raises(FacehallError, match=r"labels of the parts are \(4, 4\), the pictures \(8, 8\)"):
        PartsLoss()(Outputs({"pyramid": {1: batch["hr"]}}), batch)
