"""SRGAN's and ESRGAN's discriminators: sizes, layers, the residual image."""

import pytest
import torch
from torch import nn

from facehall.imaging import downscale_bicubic, gradient_map, upscale_bicubic
from facehall.metrics import count_gmacs, count_parameters
from facehall.models.discriminators import SPSRDiscriminator, SRGANDiscriminator, VGGDiscriminator


def conv_parameters(widths, sides):
    """Convolutions without biases but the first, and two numbers per channel of each batch norm."""
    pairs = list(zip([3, *widths], widths, sides, strict=False))
    return sum(i * o * side**2 for i, o, side in pairs) + widths[0] + 2 * sum(widths[1:])


def test_srgan_sizes():
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    convs = conv_parameters(widths, [3] * 8)
    with torch.device("meta"):
        flat, pooled = SRGANDiscriminator(96), SRGANDiscriminator()
        assert count_parameters(flat) == convs + 512 * 36 * 1024 + 1024 + 1024 + 1
        assert count_parameters(pooled) == convs + 512 * 1024 + 1024 + 1024 + 1
        assert count_gmacs(pooled, torch.empty(1, 3, 96, 96)) == pytest.approx(0.87, rel=0.02)


def test_gafh_ridn_sizes():
    """Nine convolutions, five of them of stride 2."""
    widths = [64, 64, 128, 128, 256, 256, 512, 512, 512]
    with torch.device("meta"):
        network = SRGANDiscriminator(256, extra_strides=1)
        assert count_parameters(network) == conv_parameters(widths, [3] * 9) + 512 * 64 * 1024 + 1024 + 1024 + 1
    strides = [layer.stride[0] for layer in network.features if isinstance(layer, nn.Conv2d)]
    assert strides == [1, 2, 1, 2, 1, 2, 1, 2, 2]
    assert SRGANDiscriminator(40, channels=2, extra_strides=1)(torch.rand(2, 3, 40, 40)).shape == (2, 1)


def test_vgg_sizes():
    widths = [64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    with torch.device("meta"):
        network = VGGDiscriminator(128)
        dense = 512 * 16 * 100 + 100 + 100 + 1
        assert count_parameters(network) == conv_parameters(widths, [3, 4] * 5) + dense
        assert count_gmacs(network, torch.empty(1, 3, 128, 128)) == pytest.approx(2.22, rel=0.02)
        small = VGGDiscriminator(96, channels=32)
        assert count_gmacs(small, torch.empty(1, 3, 96, 96)) == pytest.approx(0.32, rel=0.02)


@pytest.mark.parametrize("network", [SRGANDiscriminator(16, 2), VGGDiscriminator(32, 2)])
def test_batch_norm_and_activation_after_all_but_the_first(network):
    kinds = [type(layer).__name__ for layer in network.features]
    count = kinds.count("Conv2d")
    assert kinds == ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * (count - 1)]
    assert all(layer.negative_slope == 0.2 for layer in network.modules() if isinstance(layer, nn.LeakyReLU))


@pytest.mark.parametrize("size", [16, 24, 44])
def test_srgan_gives_one_logit_per_patch(size):
    assert SRGANDiscriminator(size, channels=2)(torch.rand(3, 3, size, size)).shape == (3, 1)
    assert SRGANDiscriminator(channels=2)(torch.rand(3, 3, size, size + 8)).shape == (3, 1)
    assert SRGANDiscriminator(size, channels=2, pairs=3)(torch.rand(3, 3, size, size)).shape == (3, 1)


@pytest.mark.parametrize("size", [32, 48, 96])
def test_vgg_gives_one_logit_per_patch(size):
    assert VGGDiscriminator(size, channels=2)(torch.rand(3, 3, size, size)).shape == (3, 1)


def test_the_residual_image_is_judged_in_place_of_the_image():
    plain = SRGANDiscriminator(16, channels=2).eval()
    residual = SRGANDiscriminator(16, channels=2, residual_scale=4).eval()
    residual.load_state_dict(plain.state_dict())
    hr = torch.rand(2, 3, 16, 16)
    enlarged = upscale_bicubic(downscale_bicubic(hr, 4), 4)
    assert torch.equal(residual(hr), plain(hr - enlarged))


def test_spsr_judges_the_image_and_its_gradient_map():
    network = SPSRDiscriminator(32, channels=2).eval()
    hr = torch.rand(3, 3, 32, 32)
    logits = network(hr)
    assert logits.shape == (3, 2)
    assert torch.equal(logits[:, :1], network.image(hr))
    assert torch.equal(logits[:, 1:], network.gradient(gradient_map(hr)))
    assert count_parameters(network) == 2 * count_parameters(network.image)


def test_other_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"SRGANDiscriminator was built for 16x16 patches, got 24x16"):
        SRGANDiscriminator(16, channels=2)(torch.rand(1, 3, 24, 16))
    with pytest.raises(ValueError, match=r"VGGDiscriminator was built for 32x32 patches, got 48x32:.*U-Net"):
        VGGDiscriminator(32, channels=2)(torch.rand(1, 3, 48, 32))
    with pytest.raises(ValueError, match="SRGANDiscriminator: patch_size must be at least 16, not 8"):
        SRGANDiscriminator(8)
    with pytest.raises(ValueError, match="SRGANDiscriminator: patch_size must be at least 32, not 16"):
        SRGANDiscriminator(16, extra_strides=1)
    with pytest.raises(ValueError, match="VGGDiscriminator: patch_size must be at least 32"):
        VGGDiscriminator(16)
