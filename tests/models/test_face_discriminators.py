"""PFSR's discriminator and that of a face and its parts."""

import pytest
import torch

from facehall.metrics import count_parameters
from facehall.models.discriminators import FacePartsDiscriminator, PFSRDiscriminator
from facehall.models.discriminators.pfsr import append_deviation


def test_pfsr_size():
    """Three entrances, six convolutions, one of a channel more, and 2048 features in the dense layer."""
    widths = [64, 128, 256, 512]
    entrances = sum(4 * width for width in widths[:3])
    convs = sum(9 * a * b + b + 9 * b * b + b for a, b in ((64, 128), (128, 256), (256, 512)))
    with torch.device("meta"):
        assert count_parameters(PFSRDiscriminator()) == entrances + convs + 9 * 513 * 512 + 512 + 2048 + 1


def test_each_side_has_its_entrance():
    torch.manual_seed(0)
    network = PFSRDiscriminator(32, levels=3, channels=2)
    for entrance, side in enumerate((32, 16, 8)):
        network.zero_grad()
        logits = network(torch.rand(2, 3, side, side))
        assert logits.shape == (2, 1)
        logits.sum().backward()
        used = [layer[0].weight.grad is not None and bool(layer[0].weight.grad.any()) for layer in network.entrances]
        assert used == [index == entrance for index in range(3)]


def test_the_deviation_over_the_batch_tells_equal_images():
    x = torch.rand(1, 2, 3, 3).repeat(4, 1, 1, 1)
    assert append_deviation(x).shape == (4, 3, 3, 3)
    assert append_deviation(x)[:, 2].max() < 1e-3
    x = torch.stack([torch.zeros(2, 3, 3), torch.full((2, 3, 3), 2.0)])
    torch.testing.assert_close(append_deviation(x)[:, 2], torch.ones(2, 3, 3))


def test_parts_are_judged_one_by_one():
    torch.manual_seed(0)
    network = FacePartsDiscriminator(2).eval()
    image = torch.rand(2, 3, 64, 64)
    logits = network(image)
    assert logits.shape == (2, 4)
    changed = image.clone()
    changed[..., 46:52, 22:42] = 0  # inside the mouth's box alone
    other = network(changed)
    assert torch.equal(other[:, 1:3], logits[:, 1:3])
    assert (other[:, 3] != logits[:, 3]).all()
    assert (other[:, 0] != logits[:, 0]).all()
    torch.testing.assert_close(logits[:, 3:], network.local["mouth"](image[..., 40:54, 20:44]))
    assert FacePartsDiscriminator(2, {"eyes": None, "nose": (0.3, 0.3, 0.7, 0.7)})(image).shape == (2, 2)


def test_other_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"built for square images of 32, 16, 8 pixels, got 64x64: set"):
        PFSRDiscriminator(32, channels=2)(torch.rand(2, 3, 64, 64))
    with pytest.raises(ValueError, match="size must be a multiple of 8, from 16 up, not 12"):
        PFSRDiscriminator(12)
    with pytest.raises(ValueError, match=r"nose has 4x4 pixels of an image of 16x16, fewer than 8"):
        FacePartsDiscriminator(2, {"nose": (0.25, 0.25, 0.5, 0.5)})(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match=r"parts\.nose must be left, top, right, bottom inside"):
        FacePartsDiscriminator(2, {"nose": (0.5, 0.25, 0.25, 0.5)})
