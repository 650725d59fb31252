"""ProSR: sizes, the pyramid, fading in, a small network by hand, files."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_checks import assert_round_trip, assert_size

from facehall.imaging import upscale_bicubic
from facehall.models.generators import ProSR

FULL = {"blocks": [[8] * 9, [8] * 3, [8]], "features": 160, "growth": 40, "residual": True}
SMALL = {"blocks": [[4, 4], [4], [4]]}
TINY = {"blocks": [[2, 1], [1], [1]], "features": 6, "growth": 2}


@pytest.mark.parametrize(
    ("scale", "arguments", "parameters", "gmacs"),
    [
        (2, {}, 849_047, 1.97),
        (4, {}, 1_671_560, 9.60),
        (8, {}, 2_550_191, 42.2),
        (2, FULL, 9_470_403, 21.8),
        (4, FULL, 13_401_606, 58.3),
        (8, FULL, 15_486_409, 136),
        (4, SMALL, 694_754, 4.23),
    ],
)
def test_published_sizes(scale, arguments, parameters, gmacs):
    """GMACs of a 48x48 LR image; ours include the heads of the coarser scales."""
    assert_size(lambda: ProSR(scale, **arguments), parameters, gmacs)


@pytest.fixture(params=[False, True], ids=["compressed", "residual"])
def network(request):
    torch.manual_seed(0)
    return ProSR(8, **TINY, residual=request.param)


def test_pyramid(network):
    lr = torch.rand(2, 3, 5, 6)
    pyramid = network.pyramid(lr)
    assert network.scales == (2, 4, 8) == tuple(pyramid)
    assert all(image.shape == (2, 3, 5 * s, 6 * s) for s, image in pyramid.items())
    part = network.pyramid(lr, 4)
    assert list(part) == [2, 4]


def test_each_target_scale_has_its_first_convolution(network):
    lr = torch.rand(1, 3, 5, 6)
    network.pyramid(lr, 4)[4].mean().backward()
    assert [first.weight.grad is not None for first in network.firsts] == [False, True, False]
    assert network.levels[2].head.weight.grad is None


def test_zero_heads_return_bicubic(network):
    for level in network.levels:
        nn.init.zeros_(level.head.weight)
    lr = torch.rand(1, 3, 5, 6)
    for scale, image in network.pyramid(lr).items():
        assert torch.equal(image, upscale_bicubic(lr, scale))


def test_a_scale_fades_in(network):
    lr = torch.rand(1, 3, 5, 6)
    full = network.pyramid(lr, 4)
    network.set_fade(0)
    start = network.pyramid(lr, 4)
    coarse = full[2] - upscale_bicubic(lr, 2)
    lifted = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=True)
    torch.testing.assert_close(start[4] - upscale_bicubic(lr, 4), lifted, atol=1e-5, rtol=1e-4)
    assert torch.equal(start[2], full[2])
    network.set_fade(0.25)
    torch.testing.assert_close(network.pyramid(lr, 4)[4], start[4].lerp(full[4], 0.25), atol=1e-5, rtol=1e-4)
    network.eval()  # validation and export have the full scale
    torch.testing.assert_close(network.pyramid(lr, 4)[4], full[4])


def test_the_coarsest_scale_does_not_fade(network):
    lr = torch.rand(1, 3, 5, 6)
    full = network.pyramid(lr, 2)[2]
    network.set_fade(0)
    assert torch.equal(network.pyramid(lr, 2)[2], full)


def conv(layer, x):
    if layer.weight.shape[-1] == 3:
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(x, layer.weight, layer.bias)


def dense(layer, x):
    one, _, three = layer.layers
    return torch.cat([x, conv(three, conv(one, x).relu())], dim=1)


def test_compressed_levels_by_hand():
    network = ProSR(4, **TINY)
    lr = torch.rand(1, 3, 5, 6)
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    x = conv(network.firsts[1], 255 * (lr - mean))
    first, second, compressed, third, last = network.levels[0].trunk
    x = dense(third, conv(compressed, dense(second, dense(first, x))))
    assert compressed.weight.shape[:2] == (4, 10)
    up = network.levels[0].up[0]
    x = F.pixel_shuffle(conv(up, conv(last, x)), 2).relu()
    compressed, only, last = network.levels[1].trunk
    assert compressed.weight.shape[:2] == (3, 6)
    x = conv(last, dense(only, conv(compressed, x)))
    x = F.pixel_shuffle(conv(network.levels[1].up[0], x), 2).relu()
    expected = upscale_bicubic(lr, 4) + conv(network.levels[1].head, x) / 255
    torch.testing.assert_close(network(lr), expected)


def test_residual_levels_by_hand():
    network = ProSR(2, **TINY, residual=True)
    lr = torch.rand(1, 3, 5, 6)
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    start = x = conv(network.firsts[0], 255 * (lr - mean))
    for block in network.levels[0].trunk[:2]:
        inner = x
        for layer in block.layers[:-1]:
            inner = dense(layer, inner)
        x = x + 0.2 * conv(block.layers[-1], inner)
    x = conv(network.levels[0].trunk[2], x) + start
    x = F.pixel_shuffle(conv(network.levels[0].up[0], x), 2).relu()
    expected = upscale_bicubic(lr, 2) + conv(network.levels[0].head, x) / 255
    torch.testing.assert_close(network(lr), expected)


def test_the_widest_convolution_before_the_upsampling():
    with torch.device("meta"):
        network = ProSR(2, [[25]], 24, 12)
    assert network.levels[0].channels == 312  # 24 + 25 * 12 = 324


def test_arguments(tmp_path):
    assert_round_trip(ProSR(4, **TINY), torch.rand(1, 3, 5, 6), tmp_path)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, 8, not 3"):
        ProSR(3)
    with pytest.raises(ValueError, match="blocks must list the blocks of 3 levels for x8"):
        ProSR(8, [[1], [1]])
