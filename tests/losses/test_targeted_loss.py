"""SROBB's targeted loss: regions from labels and from pictures, the masked distance, which regions count."""

import pytest
import torch
from torch import nn

from facehall.distributed.threads import ThreadGroup
from facehall.losses import Outputs, TargetedPerceptualLoss
from facehall.losses.regions import dilate, edge_contrast, regions_of_labels, regions_of_picture
from facehall.losses.targeted import masked_distance


def test_regions_of_labels_by_hand():
    labels = torch.tensor([[[0, 0, 0, 0, 0, 1, 1, 2]]]).expand(2, 6, 8)
    boundary, background = regions_of_labels(labels, [0, 2], radius=0)
    columns = [0, 0, 0, 0, 1, 1, 1, 1]
    assert boundary.shape == background.shape == (2, 1, 6, 8)
    assert boundary[1, 0].int().tolist() == [columns] * 6
    assert background[1, 0].int().tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 6
    boundary, background = regions_of_labels(labels, [0], radius=2)
    assert boundary[0, 0].int().tolist() == [[0, 0, 1, 1, 1, 1, 1, 1]] * 6
    assert background[0, 0].int().tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]] * 6


def test_horizontal_edges_count_too():
    labels = torch.tensor([[[3, 3], [3, 3], [1, 1], [1, 1]]])
    boundary, background = regions_of_labels(labels, [1], radius=0)
    assert boundary[0, 0, :, 0].tolist() == [False, True, True, False]
    assert background[0, 0, :, 0].tolist() == [False, False, False, True]


def test_dilation_is_by_a_disk():
    mask = torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    mask[0, 0, 3, 3] = True
    rows = dilate(mask, 2)[0, 0].sum(1).tolist()
    assert rows == [0, 1, 3, 5, 3, 1, 0]


@pytest.mark.parametrize("vertical", [True, False])
def test_a_step_has_its_height_as_contrast(vertical):
    image = torch.zeros(1, 3, 40, 40)
    (image if vertical else image.mT)[..., 20:] = 0.3
    contrast = edge_contrast(image, sigma=2.0)
    assert contrast.shape == (1, 1, 40, 40)
    assert contrast.max().item() == pytest.approx(0.3, rel=0.05)  # sampled half a pixel from the edge
    assert contrast[..., :5, :5].abs().max().item() < 1e-6


def test_regions_of_pictures():
    image = torch.full((1, 3, 40, 60), 0.2)
    image[..., 20:40] = 0.7  # steps of 0.5
    image[..., 40:] = 0.32  # and 0.38
    image[:, :, 25:, :12] = 0.3  # of 0.1
    boundary, background = regions_of_picture(image, sigma=2.0, contrast=(0.05, 0.2), radius=3)
    assert not (boundary & background).any()
    assert boundary[0, 0, 10].nonzero().flatten().tolist() == [*range(14, 26), *range(35, 45)]
    assert background[0, 0, 5, [2, 30, 55]].all()
    weak = (0, 0, 35, slice(10, 14))
    assert not boundary[weak].any()
    assert not background[weak].any()


def test_masked_distance_weighs_positions_by_their_share():
    sr, hr = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 3.0]], [[1.0, 1.0]]]])
    mask = torch.zeros(1, 1, 2, 4, dtype=torch.bool)
    mask[..., :2] = True  # all of the first position
    mask[0, 0, 0, 2] = True  # a quarter of the second
    assert masked_distance(sr, hr, mask).item() == pytest.approx((1 * 1 + 0.25 * 5) / 1.25)
    assert masked_distance(sr, hr, torch.zeros_like(mask)).item() == 0


def test_parts_of_a_batch_are_weighed_by_their_regions():
    """The mean of the parts' distances is the whole batch's, though its images have regions of different sizes."""
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 2, 3, 4, 4)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, ..., :3] = True
    mask[1, ..., :1, :1] = True
    group = ThreadGroup(2)
    try:
        parts = group.run(lambda rank: masked_distance(sr[rank, None], hr[rank, None], mask[rank, None]))
    finally:
        group.close()
    torch.testing.assert_close(torch.stack(parts).mean(), masked_distance(sr, hr, mask))


class Halves(nn.Module):
    """Features: the image itself, and its half-size mean."""

    layers = ("fine", "coarse")

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return {"fine": self.gain * images, "coarse": nn.functional.avg_pool2d(images, 2)}


def term(**settings):
    return TargetedPerceptualLoss(Halves(), {"fine": 2.0}, {"coarse": 3.0}, **settings)


def parsing(background=0):
    labels = torch.ones(1, 8, 12, dtype=torch.int64)
    labels[..., 6:] = background
    return labels


def test_each_region_has_its_own_features():
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 1, 3, 8, 12)
    found = term(radius=0)(Outputs({"sr": sr}), {"hr": hr, "parsing": parsing()})
    fine = (sr - hr).square()[..., 5:7].mean()
    coarse_sr, coarse_hr = (nn.functional.avg_pool2d(image, 2) for image in (sr, hr))
    error = (coarse_sr - coarse_hr).square().mean(1)
    share = torch.tensor([0, 0, 0, 0.5, 1, 1])
    coarse = (error * share).sum() / (4 * share.sum())
    torch.testing.assert_close(found, 2 * fine + 3 * coarse)


def test_the_gradient_avoids_objects_and_hr():
    sr, hr = torch.rand(1, 3, 8, 12, requires_grad=True), torch.rand(1, 3, 8, 12, requires_grad=True)
    loss = term(radius=1)
    loss(Outputs({"sr": sr}), {"hr": hr, "parsing": parsing()}).backward()
    assert not sr.grad[..., :4].any()
    assert sr.grad[..., 4:].all()
    assert hr.grad is None
    assert loss.extractor.network.gain.grad is None


def test_labels_come_from_parsing_maps_or_the_picture():
    hr = torch.zeros(1, 3, 8, 12)
    annotated = {"hr": hr, "parsing": parsing()}
    of_parsing = regions_of_labels(parsing(), (0,), 3)
    of_picture = regions_of_picture(hr, 2.0, (0.05, 0.2), 3)
    assert not torch.equal(of_parsing[0], of_picture[0])
    for labels, batch, expected in (
        ("auto", annotated, of_parsing),
        ("auto", {"hr": hr}, of_picture),
        ("parsing", annotated, of_parsing),
        ("picture", annotated, of_picture),
    ):
        found = term(labels=labels).regions(batch)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert "batch.parsing" in term(labels="parsing").needs
    assert "batch.parsing" not in term().needs


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="labels must be one of auto, parsing, picture, not 'coco'"):
        term(labels="coco")
    with pytest.raises(ValueError, match="layer deep is compared but not computed"):
        TargetedPerceptualLoss(Halves(), {"deep": 1.0}, {})
    with pytest.raises(ValueError, match="name no layer"):
        TargetedPerceptualLoss(Halves(), {}, {})
    with pytest.raises(ValueError, match="contrast two increasing numbers"):
        term(contrast=(0.3, 0.2))
