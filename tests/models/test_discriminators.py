"""Discriminators: order of layers in the paper, sizes, spectral norm."""

import pytest
import torch
from torch import nn

from facehall.models.discriminators import PaperDiscriminator, UNetDiscriminator


def test_order_of_the_papers_layers():
    kinds = [type(layer).__name__ for layer in PaperDiscriminator(32, channels=4).features]
    sets = ["Conv2d", "LeakyReLU", "BatchNorm2d"]
    assert kinds == ["Conv2d", *sets, *sets, *["Conv2d", "BatchNorm2d"] * 4]


def test_tail_activation_is_an_option():
    kinds = [type(layer) for layer in PaperDiscriminator(32, channels=4, tail_activation=True).features]
    assert kinds.count(nn.LeakyReLU) == 6


@pytest.mark.parametrize("size", [16, 48, 96])
def test_one_logit_per_patch(size):
    assert PaperDiscriminator(size, channels=4)(torch.rand(3, 3, size, size)).shape == (3, 1)


def test_another_patch_size_is_refused_by_name():
    with pytest.raises(ValueError, match=r"built for 32x32 patches, got 48x32:.*U-Net"):
        PaperDiscriminator(32, channels=4)(torch.rand(1, 3, 48, 32))
    with pytest.raises(ValueError, match="multiple of 16"):
        PaperDiscriminator(40)


def test_unet_judges_every_pixel_of_any_size():
    discriminator = UNetDiscriminator(channels=4)
    for height, width in ((16, 24), (32, 32)):
        assert discriminator(torch.rand(2, 3, height, width)).shape == (2, 1, height, width)
    with pytest.raises(ValueError, match="multiples of 8"):
        discriminator(torch.rand(1, 3, 20, 16))


def test_unet_convolutions_are_spectrally_normalised():
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(channels=4).train()
    for _ in range(30):  # power iteration: one step per forward pass
        discriminator(torch.rand(1, 3, 16, 16))
    for conv in (*discriminator.downs, *discriminator.ups, *discriminator.tail):
        norm = torch.linalg.matrix_norm(conv.weight.detach().flatten(1), ord=2)
        assert norm == pytest.approx(1, abs=0.05)
