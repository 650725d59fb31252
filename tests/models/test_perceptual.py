"""VGG16Features against torchvision's VGG16, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import load_file

from facehall.assets import get_asset
from facehall.errors import FacehallError
from facehall.models.perceptual import LAYERS, VGG16Features

IMAGES = torch.rand(2, 3, 48, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def real_weights(pretrained):
    """Path of VGG16's pretrained weights."""
    return pretrained["vgg16"]


def reference(state, images):
    """Return {layer name: activation} from torchvision's module list, with out-of-place ReLUs."""
    with torch.device("meta"):
        features = torchvision.models.vgg16().features
    features.load_state_dict(state, assign=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    found, block, i = {}, 1, 0
    for layer in features:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            i += 1
            found[f"conv{block}_{i}"] = x
        elif isinstance(layer, torch.nn.ReLU):
            found[f"relu{block}_{i}"] = x
        else:
            block, i = block + 1, 0
    return found


def torchvision_state(extractor):
    indices = [index for index, *_ in get_asset("vgg16").convolutions]
    state = extractor.convolutions.state_dict()
    return {f"{indices[int(key.split('.')[0])]}.{key.split('.')[1]}": value for key, value in state.items()}


def assert_agrees(found, expected):
    for name, value in found.items():
        scale = expected[name].abs().max()
        assert torch.allclose(value / scale, expected[name] / scale, atol=1e-5), name


def test_every_layer_agrees_with_torchvision():
    extractor = VGG16Features(LAYERS, pretrained=False)
    found = extractor(IMAGES)
    assert tuple(found) == extractor.layers == LAYERS
    assert len(found) == 26
    assert_agrees(found, reference(torchvision_state(extractor), IMAGES))


def test_pretrained_weights_reach_their_layers(real_weights):
    state = {key.removeprefix("features."): value for key, value in load_file(real_weights).items()}
    found = VGG16Features(["conv1_2", "relu3_1", "conv5_3"])(IMAGES)
    assert list(found) == ["conv1_2", "relu3_1", "conv5_3"]
    assert_agrees(found, reference(state, IMAGES))


def test_building_leaves_the_random_state_alone(real_weights):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    VGG16Features("conv5_3", weights=real_weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_features_before_the_relu_are_not_overwritten():
    found = VGG16Features(["conv1_1", "relu1_1", "conv2_1"], pretrained=False)(IMAGES)
    assert (found["conv1_1"] < 0).any()
    assert torch.equal(found["conv1_1"].relu(), found["relu1_1"])


@pytest.mark.parametrize(("layer", "convolutions", "size"), [("conv1_1", 1, 1), ("relu2_2", 4, 2), ("conv5_3", 13, 16)])
def test_no_deeper_than_needed(layer, convolutions, size):
    extractor = VGG16Features([layer], pretrained=False)
    assert len(extractor.convolutions) == convolutions
    assert extractor.min_size == size
    assert extractor(torch.rand(1, 3, size, size))[layer].shape[-2:] == (1, 1)
    if size > 1:
        with pytest.raises(FacehallError, match=f"at least {size} pixels"):
            extractor(torch.rand(1, 3, size, size - 1))


def test_layers_by_mapping_by_name_and_in_any_order():
    assert VGG16Features({"conv3_3": 0.5, "conv2_2": 0.1}, pretrained=False).layers == ("conv2_2", "conv3_3")
    assert VGG16Features("relu1_2", pretrained=False).layers == ("relu1_2",)


@pytest.mark.parametrize("layers", [["conv1_3"], ["conv2_2", "pool2"], "conv6_1", ["5"]])
def test_unknown_layer(layers):
    with pytest.raises(FacehallError, match=r"VGG16 has no layer .*conv1_1, conv1_2, .*conv5_3"):
        VGG16Features(layers, pretrained=False)


def test_no_layer():
    with pytest.raises(FacehallError, match="at least one layer"):
        VGG16Features([], pretrained=False)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32)])
def test_wrong_shape(shape):
    with pytest.raises(FacehallError, match=r"shape \(B, 3, H, W\)"):
        VGG16Features("conv1_1", pretrained=False)(torch.rand(shape))


def test_frozen_but_differentiable_in_the_images():
    extractor = VGG16Features("conv2_2", pretrained=False)
    owner = torch.nn.Sequential(extractor).train()
    assert owner.training
    assert not any(module.training for module in extractor.modules())
    images = IMAGES.clone().requires_grad_()
    extractor(images)["conv2_2"].square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(not p.requires_grad and p.grad is None for p in extractor.parameters())


def test_unfit_weights_are_refused(tmp_path):
    with pytest.raises(FacehallError, match=r"nowhere\.safetensors does not exist"):
        VGG16Features("conv1_1", weights=tmp_path / "nowhere.safetensors")
