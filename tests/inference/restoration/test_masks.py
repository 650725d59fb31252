"""What of a restored crop is pasted."""

import torch
from torch import nn

from facehall.faces.labels import BACKGROUND, CLASSES, SKIN
from facehall.inference.restoration.masks import PersonOnly, oval_mask


class LeftHalf(nn.Module):
    """A parser that finds a person in the left half of every picture."""

    def forward(self, images):
        logits = torch.full((len(images), len(CLASSES), 128, 128), -20.0)
        logits[:, SKIN, :, :64] = 20
        logits[:, BACKGROUND, :, 64:] = 20
        return logits


def test_nothing_is_pasted_beside_the_person():
    crop = torch.rand(3, 96, 96)
    oval, mask = oval_mask(crop), PersonOnly(LeftHalf())(crop)
    assert mask.shape == oval.shape
    assert (mask <= oval + 1e-6).all()
    assert torch.allclose(mask[:, :44], oval[:, :44], atol=0.02)
    assert mask[:20, 60:].max() < 0.01  # above the features, which are always pasted
    assert mask[56, 56] > 0.99
    assert mask[20, 44:60].diff().max() < 0  # from one to the other without a step
    assert mask[20, 44:60].diff().min() > -0.3


def test_the_oval_is_soft_and_ends_within_the_crop():
    oval = oval_mask(torch.zeros(3, 100, 100))
    assert oval[50, 50] == 1
    assert oval[0].max() == oval[:, 0].max() == 0
    assert torch.allclose(oval, oval.flip(0))
    assert oval.diff(dim=0).abs().max() < 0.1
