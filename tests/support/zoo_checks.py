"""Checks that networks of the zoo share: sizes, published quality on Set5, the golden input, and weights files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facehall.imaging import (
    crop_to_multiple,
    downscale_bicubic,
    list_images,
    quantize,
    read_picture,
    to_tensor,
    upscale_bicubic,
)
from facehall.imaging.colour import rgb_to_y
from facehall.metrics import count_gmacs, count_parameters, psnr
from facehall.models.generators import Generator
from facehall.models.weights import load_generator, save_generator

SHARED = os.environ.get("FACEHALL_SHARED")
needs_shared = pytest.mark.skipif(
    not SHARED, reason="FACEHALL_SHARED does not name the folder with the authors' weights and the benchmarks"
)


def shared(*parts: str) -> Path:
    """A path in the data folder of FACEHALL_SHARED; for tests marked `needs_shared`."""
    assert SHARED is not None
    return Path(SHARED, "data", *parts)


def assert_size(make: Callable[[], Generator], parameters: int, gmacs: float | None, side: int = 48) -> None:
    """Compare a network's parameters, exactly, and its GMACs for one square LR image, to 1 %; None: not counted."""
    with torch.device("meta"):
        network = make()
        assert count_parameters(network) == parameters
        if gmacs is not None:
            image = torch.empty(1, 1 if network.colour == "y" else 3, side, side)
            assert count_gmacs(network, image) == pytest.approx(gmacs, rel=0.01)


def golden_input() -> torch.Tensor:
    """(37 y + 61 x + x y) mod 256, over 255: (1, 1, 12, 16)."""
    y, x = torch.meshgrid(torch.arange(12), torch.arange(16), indexing="ij")
    return ((37 * y + 61 * x + x * y) % 256)[None, None] / 255


def assert_golden(output: torch.Tensor, mean: float, std: float, *pixels: float) -> None:
    """Compare a (1, 1, H, W) with golden figures: mean, standard deviation, first, middle and last pixel."""
    image = output[0, 0].double().numpy()
    height, width = image.shape
    found = [image.mean(), image.std(), image[0, 0], image[height // 2, width // 2], image[-1, -1]]
    np.testing.assert_allclose(found, [mean, std, *pixels], atol=1e-4, rtol=0)


@torch.inference_mode()
def set5_luma_psnr(generator: Generator) -> list[float]:
    """PSNR of the luma of Set5's images, border = scale, from LR of unrounded luma as in the classic test codes."""
    values, scale = [], generator.scale
    for path in list_images(shared("benchmark", "Set5", "HR")):
        hr = rgb_to_y(crop_to_multiple(to_tensor(read_picture(path).rgb)[None].double(), scale)).float()
        lr = downscale_bicubic(hr, scale)
        sr = generator(upscale_bicubic(lr, scale) if generator.input == "bicubic" else lr)
        inner = (slice(None), slice(None), slice(scale, -scale), slice(scale, -scale))
        values.append(float(psnr(quantize(sr)[inner], hr[inner])))
    return values


def assert_round_trip(generator: Generator, image: torch.Tensor, folder: Path) -> None:
    """A weights file rebuilds the network."""
    save_generator(folder / "w.safetensors", generator.eval())
    loaded = load_generator(folder / "w.safetensors")
    assert type(loaded) is type(generator)
    assert (loaded.arguments, loaded.scale) == (generator.arguments, generator.scale)
    with torch.inference_mode():
        assert torch.equal(loaded(image), generator(image))
