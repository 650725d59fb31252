"""Reading the small SRGAN's published weights: their layout, errors, and the quality measured elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn
from zoo_checks import golden_input, needs_shared, shared

from facehall.errors import FacehallError
from facehall.imaging import (
    crop_to_multiple,
    downscale_bicubic,
    list_images,
    quantize,
    read_picture,
    rgb_to_y,
    to_tensor,
)
from facehall.metrics import psnr
from facehall.models.published import load_published

SET5_LUMA, SET5_RGB = 30.647, 28.758
"""dB at x4, from LR of 8 bits; measured with another implementation."""


class Reference(nn.Module):
    """The published network, with its names and its biases before batch norms."""

    def __init__(self, blocks, steps, c):
        super().__init__()
        self.blocks = blocks
        self.block1 = nn.Sequential(nn.Conv2d(3, c, 9, padding=4), nn.PReLU())
        for i in range(blocks):
            block = nn.Module()
            block.conv1, block.bn1, block.prelu = nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.PReLU()
            block.conv2, block.bn2 = nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c)
            setattr(self, f"block{i + 2}", block)
        setattr(self, f"block{blocks + 2}", nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.PReLU()))
        ups = []
        for _ in range(steps):
            up = nn.Module()
            up.conv, up.prelu = nn.Conv2d(c, 4 * c, 3, padding=1), nn.PReLU()
            ups.append(up)
        setattr(self, f"block{blocks + 3}", nn.Sequential(*ups, nn.Conv2d(c, 3, 9, padding=4)))

    def forward(self, x):
        first = x = self.block1(x)
        for i in range(self.blocks):
            block = getattr(self, f"block{i + 2}")
            x = x + block.bn2(block.conv2(block.prelu(block.bn1(block.conv1(x)))))
        x = first + getattr(self, f"block{self.blocks + 2}")(x)
        *ups, last = getattr(self, f"block{self.blocks + 3}")
        for up in ups:
            x = up.prelu(nn.functional.pixel_shuffle(up.conv(x), 2))
        return (last(x).tanh() + 1) / 2


@pytest.fixture
def reference():
    torch.manual_seed(0)
    network = Reference(5, 2, 4).eval()
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_floating_point():
            nn.init.uniform_(value, 0.1, 0.9 if "bn" in name or "prelu" in name else 0.11)
    return network


def test_the_layout(tmp_path, reference):
    """The files of 2018 lack num_batches_tracked."""
    state = {name: value for name, value in reference.state_dict().items() if not name.endswith("tracked")}
    torch.save(state, tmp_path / "w.pth")
    network = load_published("srgan_lt", tmp_path / "w.pth")
    assert network.arguments == {"scale": 4, "blocks": 5, "features": 4, "trunk_end": "prelu", "output": "tanh"}
    lr = 0.01 * torch.randn(1, 3, 6, 7)
    with torch.inference_mode():
        torch.testing.assert_close(network(lr), reference(lr))


def test_other_files(tmp_path, reference):
    state = reference.state_dict()
    del state["block3.conv1.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(FacehallError, match=r"w\.pth: not the weights of this small SRGAN"):
        load_published("srgan_lt", tmp_path / "w.pth")
    torch.save(reference, tmp_path / "module.pth")
    with pytest.raises(FacehallError, match=r"module\.pth: .*holds code, which is never run"):
        load_published("srgan_lt", tmp_path / "module.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(FacehallError, match=r"list\.pth: not the weights of this small SRGAN"):
        load_published("srgan_lt", tmp_path / "list.pth")


def published():
    return load_published("srgan_lt", shared("peer_weights", "srgan", "srgan_lt_x4.pth"))


@needs_shared
def test_golden_output():
    v = golden_input()[0]
    with torch.inference_mode():
        sr = published()(torch.stack([v[0], 1 - v[0], v[0].flip(0)])[None])[0].double()
    found = [*sr.mean((1, 2)), sr.std(correction=0), sr[0, 0, 0], sr[1, 24, 32], sr[2, -1, -1]]
    expected = [0.477728, 0.475629, 0.489791, 0.330083, 0.172047, 0.001056, 0.420221]
    np.testing.assert_allclose([float(value) for value in found], expected, atol=1e-4, rtol=0)


@needs_shared
@pytest.mark.slow
@torch.inference_mode()
def test_quality():
    network, found = published(), []
    for path in list_images(shared("benchmark", "Set5", "HR")):
        hr = crop_to_multiple(to_tensor(read_picture(path).rgb)[None], 4)
        sr = quantize(network(quantize(downscale_bicubic(hr, 4))))
        sr, hr = (image[..., 4:-4, 4:-4] for image in (sr, hr))
        found.append([float(psnr(rgb_to_y(sr), rgb_to_y(hr))), float(psnr(sr, hr))])
    assert len(found) == 5
    np.testing.assert_allclose(np.mean(found, axis=0), [SET5_LUMA, SET5_RGB], atol=0.02, rtol=0)
