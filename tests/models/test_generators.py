"""The generators: shapes, topology, the bicubic floor, and the public checkpoints' layouts."""

import pytest
import torch
from small import TINY_NETWORK
from torch import nn
from torch.nn import functional as F

from facehall.imaging import upscale_bicubic
from facehall.models.generators import Generator, MultiScaleRRDB, RRDBNet, SRResNet3
from facehall.models.generators.rrdbnet import public_state_dict, rrdbnet_arguments
from facehall.models.layers.blocks import RRDB, upsampler


@pytest.mark.parametrize(("scale", "scales"), [(2, [2]), (3, [3]), (4, [2, 4]), (8, [2, 4, 8])])
def test_pyramid_holds_every_scale(scale, scales):
    generator = MultiScaleRRDB(scale=scale, **TINY_NETWORK)
    lr = torch.rand(2, 3, 5, 7)
    pyramid = generator.pyramid(lr)
    assert list(pyramid) == scales
    for s, image in pyramid.items():
        assert image.shape == (2, 3, 5 * s, 7 * s)
    assert torch.equal(generator(lr), pyramid[scale])


def test_the_pyramid_may_stop_at_a_coarser_scale():
    generator = MultiScaleRRDB(scale=8, **TINY_NETWORK)
    lr = torch.rand(1, 3, 5, 4)
    assert generator.scales == (2, 4, 8)
    whole, part = generator.pyramid(lr), generator.outputs(lr, 4)["pyramid"]
    assert list(part) == [2, 4]
    assert all(torch.equal(part[scale], whole[scale]) for scale in part)


def test_a_class_is_known_to_weights_files_once_it_is_imported():
    class Own(Generator):
        pass

    assert Generator.registry["RRDBNet"] is RRDBNet
    assert Generator.registry[f"{__name__}.{Own.__qualname__}"] is Own
    del Generator.registry[f"{__name__}.{Own.__qualname__}"]


def test_untrained_network_gives_the_bicubic_image():
    lr = torch.rand(1, 3, 9, 6)
    for scale, image in MultiScaleRRDB(scale=8, **TINY_NETWORK).pyramid(lr).items():
        torch.testing.assert_close(image, upscale_bicubic(lr, scale))


def test_default_size_is_about_a_million():
    assert 0.8e6 < sum(p.numel() for p in MultiScaleRRDB().parameters()) < 1.1e6


def test_every_parameter_takes_a_gradient_once_the_heads_have_moved():
    generator = MultiScaleRRDB(scale=4, topology="parallel", **TINY_NETWORK)
    for stage in generator.stages:
        nn.init.normal_(stage.head.weight)
    sum(image.square().mean() for image in generator.pyramid(torch.rand(1, 3, 8, 8)).values()).backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_parallel_blocks_read_the_same_input():
    block = RRDB(features=4, growth=2, convs=2, dense_blocks=3, topology="parallel")
    x = torch.rand(1, 4, 6, 6)
    mean = (block.rdb1(x) + block.rdb2(x) + block.rdb3(x)) / 3
    torch.testing.assert_close(block(x), x + 0.2 * mean)


def test_sequential_blocks_read_one_another():
    block = RRDB(features=4, growth=2, convs=2, dense_blocks=3)
    x = torch.rand(1, 4, 6, 6)
    torch.testing.assert_close(block(x), x + 0.2 * block.rdb3(block.rdb2(block.rdb1(x))))


@pytest.mark.parametrize("scale", [0, 1, 5, 6])
def test_other_scales_are_refused(scale):
    with pytest.raises(ValueError, match="scale must be one of"):
        MultiScaleRRDB(scale=scale)


def test_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match="pixel_shuffle, nearest"):
        MultiScaleRRDB(upsampling="bilinear")


@pytest.mark.parametrize("factor", [2, 3])
def test_nearest_upsampling_treats_all_places_of_a_cell_alike(factor):
    """What is flat stays flat, whatever the weights; a sub-pixel convolution that has learned does not hold to it."""
    up = upsampler(4, 5, factor, upsampling="nearest")
    flat = up(torch.rand(1, 4, 1, 1).expand(1, 4, 6, 7))[..., 1:-1, 1:-1]
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))
    assert up(torch.rand(1, 4, 6, 7)).shape == (1, 5, 6 * factor, 7 * factor)


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_starts_without_a_checkerboard(factor):
    up = upsampler(4, 5, factor)
    x = torch.rand(1, 4, 6, 7)
    small = up(x)[..., ::factor, ::factor]
    assert small.std() > 0
    assert torch.equal(up(x), small.repeat_interleave(factor, -1).repeat_interleave(factor, -2))


def test_srresnet3_has_three_groups_in_each_block():
    generator = SRResNet3(scale=4, blocks=2, features=8)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 6
    assert generator(torch.rand(1, 3, 6, 5)).shape == (1, 3, 24, 20)


def test_arguments_record_defaults_too():
    assert MultiScaleRRDB(2, blocks=1).arguments["blocks"] == 1
    assert MultiScaleRRDB(2, blocks=1).arguments["carry"] == 8
    assert RRDBNet(blocks=1).arguments == {"blocks": 1, "features": 64, "growth": 32}


def test_how_a_network_is_computed_is_no_part_of_what_it_is():
    here = MultiScaleRRDB(2, topology="parallel", memory="recompute", execution="threads", **TINY_NETWORK)
    elsewhere = MultiScaleRRDB(2, topology="parallel", memory="naive", **TINY_NETWORK)
    assert here.arguments == elsewhere.arguments
    assert not {"memory", "execution"} & set(here.arguments)
    assert list(here.state_dict()) == list(elsewhere.state_dict())


def test_full_rrdbnet_has_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in RRDBNet().parameters()) == 16_697_987


def plain_rrdbnet(state: dict[str, torch.Tensor], lr: torch.Tensor, blocks: int) -> torch.Tensor:
    """RRDBNet written straight from the ESRGAN paper, on the present layout's keys."""

    def conv(name, x):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def dense(name, x):
        maps = x
        for i in range(1, 5):
            maps = torch.cat([maps, F.leaky_relu(conv(f"{name}.conv{i}", maps), 0.2)], 1)
        return x + 0.2 * conv(f"{name}.conv5", maps)

    first = x = conv("conv_first", lr)
    for b in range(blocks):
        inner = x
        for r in (1, 2, 3):
            inner = dense(f"body.{b}.rdb{r}", inner)
        x = x + 0.2 * inner
    x = first + conv("conv_body", x)
    for name in ("conv_up1", "conv_up2"):
        x = F.leaky_relu(conv(name, x.repeat_interleave(2, -1).repeat_interleave(2, -2)), 0.2)
    return conv("conv_last", F.leaky_relu(conv("conv_hr", x), 0.2))


def script_layout(key: str) -> str:
    for new, old in (
        ("conv_body", "trunk_conv"),
        ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
        ("rdb", "RDB"),
    ):
        key = key.replace(new, old)
    return key.replace("body.", "RRDB_trunk.")


def numbered_layout(key: str) -> str:
    numbers = {"conv_first": 0, "conv_up1": 3, "conv_up2": 6, "conv_hr": 8, "conv_last": 10}
    name, *rest = key.split(".")
    if name in numbers:
        return ".".join(["model", str(numbers[name]), *rest])
    if name == "conv_body":
        return f"model.1.sub.2.{rest[0]}"  # behind two RRDBs
    block, dense, conv, kind = rest
    return f"model.1.sub.{block}.{dense.replace('rdb', 'RDB')}.{conv}.0.{kind}"


@pytest.mark.parametrize("layout", [str, script_layout, numbered_layout])
def test_public_checkpoints_of_each_layout_load_and_agree_with_the_paper(layout):
    generator = RRDBNet(blocks=2, features=8, growth=4)
    public = {layout(key): torch.randn_like(value) / 5 for key, value in generator.state_dict().items()}
    state = public_state_dict(public)
    assert rrdbnet_arguments(state) == generator.arguments
    generator.load_state_dict(public)
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(generator(lr), plain_rrdbnet(state, lr, blocks=2))
