"""The U-shaped network for degraded photographs."""

import pytest
import torch
from torch.testing import assert_close

from facehall.imaging import upscale_bicubic
from facehall.metrics import count_gmacs
from facehall.models.generators import MultiScaleUNet
from facehall.models.weights import load_generator, save_generator

SMALL = {"features": [4, 6, 8], "blocks": [1, 1, 1], "stage_features": 4}


def trained(scale=4, **settings):
    """A network whose output depends on all of its layers."""
    torch.manual_seed(0)
    network = MultiScaleUNet(scale, **{**SMALL, **settings}).eval()
    for head in network.heads:
        torch.nn.init.normal_(head.weight, std=0.1)
    if network.gate is not None:
        torch.nn.init.normal_(network.gate.gain.weight, std=0.1)
    return network


@pytest.mark.parametrize(("scale", "scales"), [(2, [2]), (3, [3]), (4, [2, 4])])
@pytest.mark.parametrize("size", [(8, 12), (5, 7), (1, 2)])
@pytest.mark.parametrize("gate", [0, 4])
def test_untrained_it_gives_the_bicubic_image_at_every_scale_for_any_size(scale, scales, size, gate):
    lr = torch.rand(2, 3, *size)
    images = MultiScaleUNet(scale, **SMALL, gate=gate).pyramid(lr)
    assert list(images) == scales
    for each, image in images.items():
        assert_close(image, upscale_bicubic(lr, each))


def test_up_to_a_scale():
    assert list(trained().pyramid(torch.rand(1, 3, 4, 4), up_to=2)) == [2]


def test_every_level_changes_the_image():
    network = trained(gate=4)
    network(torch.rand(1, 3, 9, 10)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if not name.startswith("heads.0"):  # the coarse image is not part of the fine one
            assert parameter.grad.abs().sum() > 0, name


def test_the_gate_corrects_the_finest_image_alone():
    plain, gated = trained(), trained(gate=4)
    gated.load_state_dict(plain.state_dict(), strict=False)
    lr = torch.rand(1, 3, 9, 8)
    assert_close(gated.pyramid(lr)[2], plain.pyramid(lr)[2])
    assert not torch.allclose(gated(lr), plain(lr))
    assert_close(gated.pyramid(lr, up_to=2)[2], plain.pyramid(lr)[2])


def test_files_from_before_there_were_gates_are_read(tmp_path):
    plain = trained()
    del plain.arguments["gate"]
    save_generator(tmp_path / "w.safetensors", plain)
    lr = torch.rand(1, 3, 7, 6)
    assert_close(load_generator(tmp_path / "w.safetensors")(lr), plain(lr))


def test_the_default_is_cheaper_than_the_networks_for_clean_pictures():
    lr = torch.rand(1, 3, 64, 64)
    assert count_gmacs(MultiScaleUNet(4), lr) == pytest.approx(3.20, abs=0.01)
    assert count_gmacs(MultiScaleUNet(4, gate=24), lr) == pytest.approx(3.24, abs=0.01)


def test_it_is_restored_from_its_file(tmp_path):
    network = trained(features=(4, 6), blocks=(1, 2), gate=4)
    save_generator(tmp_path / "w.safetensors", network)
    loaded = load_generator(tmp_path / "w.safetensors")
    assert loaded.arguments == network.arguments
    lr = torch.rand(1, 3, 7, 6)
    assert_close(loaded(lr), network(lr))


def test_tiles_fit_the_strides_of_network_and_gate():
    small = {"features": (4, 6), "blocks": (1, 2)}
    assert [each.cell for each in (trained(**small), trained(), trained(**small, gate=4))] == [2, 4, 4]


def test_muon_trains_all_but_the_first_layer_and_the_heads():
    network = MultiScaleUNet(4, **SMALL, gate=4)
    weights = {name for name, parameter in network.named_parameters() if parameter.ndim == 4}
    assert weights - set(network.matrix_parameters()) == {
        "first.weight",
        "gate.gain.weight",
        "heads.0.weight",
        "heads.1.weight",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 5}, "scale"),
        ({"features": [8], "blocks": [1]}, "two levels"),
        ({"blocks": [1, 1]}, "two levels"),
        ({"stage_features": 5}, "multiple of 2"),
    ],
)
def test_invalid_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleUNet(**{**SMALL, **settings})
