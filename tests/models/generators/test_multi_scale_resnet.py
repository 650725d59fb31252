"""The multi-scale residual network."""

import pytest
import torch
from torch.testing import assert_close

from facehall.imaging import upscale_bicubic
from facehall.models.generators import MultiScaleResNet
from facehall.models.weights import load_generator, save_generator

SMALL = {"blocks": 2, "features": 8, "stage_features": 8}


@pytest.mark.parametrize(("scale", "scales"), [(2, [2]), (3, [3]), (4, [2, 4]), (8, [2, 4, 8])])
def test_an_untrained_network_gives_the_bicubic_image_at_every_scale(scale, scales):
    lr = torch.rand(2, 3, 5, 7)
    images = MultiScaleResNet(scale, **SMALL).pyramid(lr)
    assert list(images) == scales
    for each, image in images.items():
        assert_close(image, upscale_bicubic(lr, each))


def test_stages_halve_their_width():
    network = MultiScaleResNet(8, features=16, stage_features=32)
    assert [head.in_channels for head in network.heads] == [32, 16, 8]
    assert sum(p.numel() for p in MultiScaleResNet(4).parameters()) == 746_358


@pytest.mark.parametrize(("scale", "sides"), [(4, [10]), (8, [10, 20])])
def test_without_features_at_full_resolution(scale, sides, tmp_path):
    network = MultiScaleResNet(scale, **SMALL, full_resolution=False)
    lr = torch.rand(1, 3, 5, 7)
    images = network.pyramid(lr)
    assert_close(images[scale], upscale_bicubic(lr, scale))
    seen = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, features: seen.append(features.shape[-2]))
    network.pyramid(lr)
    assert seen == [*sides, sides[-1]]
    torch.nn.init.normal_(network.heads[-1][0].weight)
    save_generator(tmp_path / "w.safetensors", network)
    assert_close(load_generator(tmp_path / "w.safetensors")(lr), network(lr))
    assert not {"heads.0.weight", f"heads.{len(sides)}.0.weight"} & set(network.matrix_parameters())


def test_nearest_upsampling_has_no_sub_pixel_convolutions():
    network = MultiScaleResNet(4, **SMALL, upsampling="nearest")
    assert not any(isinstance(module, torch.nn.PixelShuffle) for module in network.modules())
    assert network(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)


def test_features_keep_their_scale_through_the_trunk():
    torch.manual_seed(0)
    network = MultiScaleResNet(4, blocks=16, features=32)
    x = torch.randn(1, 32, 16, 16)
    for block in network.trunk[:-1]:
        x = block(x)
    assert 0.8 < x.std() < 1.6


def test_positions_are_learned_and_resized(tmp_path):
    network = MultiScaleResNet(8, **SMALL, position=4)
    assert network.whole_picture
    with torch.no_grad():
        network.position.normal_()
        network.heads[-1].weight.normal_()
    lr = torch.full((1, 3, 4, 4), 0.5)
    inner = network(lr)[..., 8:-8, 8:-8]
    assert inner.std() > 1e-3  # a flat picture, but not a flat result
    assert network(torch.rand(1, 3, 6, 5)).shape == (1, 3, 48, 40)
    save_generator(tmp_path / "w.safetensors", network)
    assert_close(load_generator(tmp_path / "w.safetensors")(lr), network(lr))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 5}, "scale"),
        ({"stage_features": 6, "scale": 8}, "multiple of 4"),
        ({"scale": 2, "full_resolution": False}, "two stages"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleResNet(**settings)
