"""Losses: values by hand, and which inputs receive gradients."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facehall.imaging import downscale_bicubic
from facehall.losses import (
    AdversarialLoss,
    DiscriminatorLoss,
    LossTerm,
    LPIPSLoss,
    Outputs,
    PerceptualLoss,
    PyramidPixelLoss,
    WeightedTerms,
    charbonnier,
    perceptual_distance,
)
from facehall.losses.adversarial import (
    HingeLoss,
    LeastSquaresLoss,
    RelativisticAverageLoss,
    VanillaLoss,
    WassersteinLoss,
)
from facehall.losses.perceptual import shifted_crops
from facehall.metrics.lpips import LPIPS

ADVERSARIAL = [VanillaLoss(), RelativisticAverageLoss(), HingeLoss(), WassersteinLoss()]


def test_charbonnier_by_hand():
    sr, hr = torch.tensor([0.0, 0.3]), torch.tensor([0.0, 0.7])
    assert charbonnier(sr, hr, epsilon=0.3).item() == pytest.approx((0.3 + 0.5) / 2)


def test_charbonnier_gradient_is_finite_where_l1_has_none():
    sr = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: charbonnier(x, torch.zeros(3, dtype=torch.float64)), sr)


@pytest.mark.parametrize(("kind", "function"), [("mse", F.mse_loss), ("l1", F.l1_loss), ("charbonnier", charbonnier)])
def test_pixel_loss_supervises_every_scale(kind, function):
    hr = torch.rand(2, 3, 16, 16)
    pyramid = {s: torch.rand(2, 3, 4 * s, 4 * s, requires_grad=True) for s in (2, 4)}
    loss = PyramidPixelLoss(kind, coarse_weight=0.5)({"pyramid": pyramid}, {"hr": hr})
    expected = function(pyramid[4], hr) + 0.5 * function(pyramid[2], downscale_bicubic(hr, 2))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(image.grad.any() for image in pyramid.values())


def test_coarse_scales_can_be_left_unsupervised():
    hr = torch.rand(1, 3, 8, 8)
    pyramid = {2: torch.rand(1, 3, 4, 4), 4: torch.rand(1, 3, 8, 8)}
    torch.testing.assert_close(PyramidPixelLoss("l1", 0.0)({"pyramid": pyramid}, {"hr": hr}), F.l1_loss(pyramid[4], hr))


def test_unknown_pixel_loss_is_refused():
    with pytest.raises(ValueError, match="mse, l1, charbonnier"):
        PyramidPixelLoss("huber")


def test_perceptual_distance_weighs_each_layer():
    sr = {"a": torch.zeros(1, 1, 2, 2), "b": torch.zeros(1, 2, 1, 1)}
    hr = {"a": torch.full((1, 1, 2, 2), 2.0), "b": torch.full((1, 2, 1, 1), 3.0)}
    assert perceptual_distance(sr, hr, {"a": 0.5, "b": 2.0}).item() == 0.5 * 4 + 2 * 9


class Pyramid(nn.Module):
    """A stand-in extractor with parameters, to check that they are frozen."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return {"a": self.conv(x)}


def test_perceptual_gradient_reaches_sr_only():
    loss = PerceptualLoss(Pyramid(), {"a": 1.0})
    sr, hr = torch.rand(1, 3, 8, 8, requires_grad=True), torch.rand(1, 3, 8, 8, requires_grad=True)
    loss({"sr": sr}, {"hr": hr}).backward()
    assert sr.grad.any()
    assert hr.grad is None
    assert all(p.grad is None for p in loss.parameters())
    assert loss.state_dict() == {}


def test_perceptual_loss_of_equal_images_is_zero():
    images = torch.rand(2, 3, 8, 8)
    assert PerceptualLoss(Pyramid(), {"a": 1.0}).distance(images, images).item() == 0


def test_shifted_perceptual_loss_compares_the_same_crop_of_both_images_at_every_offset():
    class Extractor(nn.Module):
        def forward(self, x):
            assert x.shape[-2:] == (7, 5)
            return {"a": x}

    torch.manual_seed(0)
    hr = torch.rand(200, 3, 10, 8)
    sr = (hr + 1).requires_grad_()
    loss = PerceptualLoss(Extractor(), {"a": 1.0}, shift=4)
    value = loss({"sr": sr}, {"hr": hr})
    torch.testing.assert_close(value, torch.tensor(1.0))  # another crop of SR differs by more
    value.backward()
    used = sr.grad[:, 0] != 0
    assert (used.flatten(1).sum(1) == 7 * 5).all()
    assert len({tuple(image.flatten().tolist()) for image in used}) == 16


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_offsets_depend_on_the_image_alone(memory_format):
    sr, hr = (torch.rand(4, 3, 12, 12).to(memory_format=memory_format) for _ in range(2))
    whole = shifted_crops(sr, hr, 4)
    halves = [shifted_crops(sr[i : i + 2], hr[i : i + 2], 4) for i in (0, 2)]
    for both, parts in zip(whole, zip(*halves, strict=True), strict=True):
        assert both.is_contiguous(memory_format=memory_format)
        assert torch.equal(both, torch.cat(parts))


def test_a_shift_is_a_number_of_pixels():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        PerceptualLoss(Pyramid(), {"a": 1.0}, shift=0)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        LPIPSLoss(shift=0)


def test_vanilla_by_hand():
    real, fake = torch.zeros(4, 1), torch.zeros(4, 1)
    assert VanillaLoss().discriminator(real, fake).item() == pytest.approx(math.log(2))
    assert VanillaLoss().generator(real, fake).item() == pytest.approx(math.log(2))


def test_relativistic_average_by_hand():
    real, fake = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [2.0]])
    d_real, d_fake = torch.sigmoid(real - 1), torch.sigmoid(fake - 2)
    discriminator = -(d_real.log().mean() + (1 - d_fake).log().mean()) / 2
    generator = -((1 - d_real).log().mean() + d_fake.log().mean()) / 2
    torch.testing.assert_close(RelativisticAverageLoss().discriminator(real, fake), discriminator)
    torch.testing.assert_close(RelativisticAverageLoss().generator(real, fake), generator)


def test_relativistic_averages_are_those_of_each_discriminator():
    real, fake = torch.randn(2, 5, 2, 3, 3).unbind()
    loss = RelativisticAverageLoss()
    for side in (loss.discriminator, loss.generator):
        apart = [side(real[:, c : c + 1], fake[:, c : c + 1]) for c in (0, 1)]
        torch.testing.assert_close(side(real, fake), torch.stack(apart).mean())


def test_hinge_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    assert HingeLoss().discriminator(real, fake).item() == (0.5 + 1.0) / 2
    assert HingeLoss().generator(real, fake).item() == 0.5


def test_least_squares_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    assert LeastSquaresLoss().discriminator(real, fake).item() == (1.0 + 2.5) / 2
    assert LeastSquaresLoss().generator(real, fake).item() == (9.0 + 0.0) / 2


def test_wasserstein_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    assert WassersteinLoss().discriminator(real, fake).item() == -0.5 - 1.0
    assert WassersteinLoss().generator(real, fake).item() == 0.5


@pytest.mark.parametrize("loss", ADVERSARIAL, ids=lambda loss: type(loss).__name__)
def test_the_two_sides_pull_in_opposite_directions(loss):
    real, fake = torch.zeros(3, 1), torch.zeros(3, 1, requires_grad=True)
    for side, sign in ((loss.discriminator, 1), (loss.generator, -1)):
        (gradient,) = torch.autograd.grad(side(real, fake), fake)
        assert (gradient.sign() == sign).all()


class Constant(LossTerm):
    needs = ()

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, outputs, batch):
        return torch.tensor(float(self.value))


def test_the_loss_is_the_weighted_sum_of_the_terms_that_have_a_weight():
    terms = WeightedTerms({"a": Constant(2), "b": Constant(3), "c": Constant(5)})
    loss, values = terms(Outputs({}), {}, {"a": 0.5, "c": 2.0, "b": 0.0})
    assert loss.item() == 0.5 * 2 + 2 * 5
    assert {name: value.item() for name, value in values.items()} == {"a": 2, "c": 5}


def test_outputs_are_computed_once_and_only_when_asked_for():
    calls = []
    outputs = Outputs({"sr": 1}, {"fake_logits": lambda: calls.append("fake") or 7})
    assert outputs["sr"] == 1
    assert not calls
    assert outputs["fake_logits"] == outputs["fake_logits"] == 7
    assert calls == ["fake"]
    with pytest.raises(KeyError):
        outputs["heatmaps"]


@pytest.mark.parametrize("kind", ["vanilla", "ragan", "hinge", "lsgan", "wgan"])
def test_gan_terms_are_the_two_losses_of_their_kind(kind):
    real, fake = torch.tensor([[0.3], [1.2]]), torch.tensor([[-0.4], [0.9]])
    outputs = {"real_logits": real, "fake_logits": fake}
    generator, discriminator = AdversarialLoss(kind), DiscriminatorLoss(kind)
    torch.testing.assert_close(generator(outputs, {}), generator.gan.generator(real, fake))
    torch.testing.assert_close(discriminator(outputs, {}), discriminator.gan.discriminator(real, fake))
    assert ("outputs.real_logits" in generator.needs) == (kind == "ragan")
    with pytest.raises(ValueError, match="vanilla, ragan, hinge, lsgan, wgan"):
        AdversarialLoss("gan")


def test_every_term_describes_itself():
    terms = [PyramidPixelLoss("l1"), PerceptualLoss(Pyramid(), {"a": 1.0}), AdversarialLoss(), Constant(1)]
    assert [term.description for term in terms] == ["l1", "Pyramid at a x 1", "ragan", "Constant"]


def test_lpips_loss_is_the_mean_of_the_metric_and_its_gradient_leads_towards_hr(pretrained):
    metric = LPIPS("alex", pretrained["alexnet"])
    loss = LPIPSLoss("alex", pretrained["alexnet"])
    random = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 32, 32, generator=random)
    sr = (hr + 0.2 * torch.randn(hr.shape, generator=random)).clamp(0, 1).requires_grad_()
    before = loss.distance(sr, hr)
    torch.testing.assert_close(before, metric(sr, hr).mean())
    (gradient,) = torch.autograd.grad(before, sr)
    assert loss.distance((sr - 5 * gradient).clamp(0, 1), hr) < before
    assert loss({"sr": sr}, {"hr": hr}) == before
    shifted = LPIPSLoss("alex", pretrained["alexnet"], shift=2)({"sr": sr}, {"hr": hr})
    torch.testing.assert_close(shifted, metric(*shifted_crops(sr, hr, 2)).mean())
    assert loss.description == "LPIPS alex"
    assert not loss.state_dict()
    assert not any(parameter.requires_grad for parameter in loss.parameters())
