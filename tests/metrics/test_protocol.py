"""The protocol: golden numbers, agreement with other implementations, published figures."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from facehall.errors import FacehallError
from facehall.imaging import crop_to_multiple, list_images, read_picture, to_tensor
from facehall.metrics import (
    Judge,
    Measure,
    Protocol,
    bicubic_sr,
    count_gmacs,
    count_parameters,
    make_lr,
    milliseconds,
    psnr,
    ssim,
)
from facehall.metrics.build import build_protocol
from facehall.metrics.judges.signal import PSNR

SHARED = os.environ.get("FACEHALL_SHARED")


@pytest.fixture(scope="module")
def astronaut():
    """A photograph from scikit-image's wheel and its bicubic x4 version, (1, 3, 512, 512)."""
    hr = to_tensor(skimage.data.astronaut())[None]
    return bicubic_sr(make_lr(hr, 4), 4), hr


def arrays(*images):
    return [image[0].permute(1, 2, 0).double().numpy() for image in images]


# ---------------------------------------------------------------- measures


def test_psnr_by_hand():
    hr = torch.zeros(2, 3, 4, 4)
    sr = hr.clone()
    sr[1] = 10 / 255
    values = psnr(sr, hr)
    assert values[0] == math.inf
    assert values[1].item() == pytest.approx(20 * math.log10(25.5))


def test_psnr_agrees_with_scikit_image(astronaut):
    sr, hr = astronaut
    expected = peak_signal_noise_ratio(*reversed(arrays(sr, hr)), data_range=1)
    assert psnr(sr, hr).item() == pytest.approx(expected, abs=1e-6)


def test_ssim_agrees_with_scikit_image_on_the_valid_region(astronaut):
    sr, hr = astronaut
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1,
        "channel_axis": 2,
    }
    _, full = structural_similarity(*arrays(sr, hr), full=True, **options)
    assert ssim(sr, hr).item() == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_ssim_agrees_with_torchmetrics_on_the_valid_region(astronaut):
    """Torchmetrics averages over the whole map, including the mirrored border."""
    sr, hr = (image[..., :200, :240].double() for image in astronaut)
    _, full = structural_similarity_index_measure(sr, hr, data_range=1.0, sigma=1.5, return_full_image=True)
    assert ssim(sr, hr).item() == pytest.approx(full[..., 5:-5, 5:-5].mean().item(), abs=1e-6)


def test_ssim_of_identical_images_is_one_and_small_images_are_refused():
    images = torch.rand(2, 3, 12, 15)
    torch.testing.assert_close(ssim(images, images), torch.ones(2, dtype=torch.float64))
    with pytest.raises(FacehallError):
        ssim(torch.rand(1, 3, 10, 20), torch.rand(1, 3, 10, 20))


# ---------------------------------------------------------------- protocol


def test_golden_numbers_of_a_photograph(astronaut):
    """Computed by this code; PSNR and SSIM are checked against other implementations above."""
    sr, hr = astronaut
    values = {name: value.item() for name, value in Protocol(4).measure(sr, hr).items()}
    assert values == pytest.approx(GOLDEN, abs=2e-4)


GOLDEN = {"psnr": 25.34316, "ssim": 0.814418, "psnr_y": 26.84068, "ssim_y": 0.841941}


def test_sr_is_rounded_to_8_bits_and_the_border_is_cut():
    hr = torch.full((1, 3, 32, 32), 128 / 255)
    sr = hr.clone()
    sr[..., :4, :] = sr[..., -4:, :] = sr[..., :, :4] = sr[..., :, -4:] = 0  # all of it inside the border
    sr[..., 16, 16] += 0.4 / 255  # less than half a level
    assert Protocol(4).measure(sr, hr)["psnr"].item() == math.inf
    assert Protocol(4, border=3).measure(sr, hr)["psnr"].item() < 30


def test_names_match_the_measures():
    for protocol in (Protocol(4), Protocol(4, [PSNR(), Distance()])):
        assert tuple(protocol.measure(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))) == protocol.names


class Distance(Judge):
    measure = Measure("distance", "Distance", "lower")

    def forward(self, sr, hr):
        return (sr - hr).abs().flatten(1).mean(1)


def test_grey_is_its_own_y():
    sr, hr = torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    values = Protocol(2).measure(sr, hr)
    assert values["psnr_y"] == values["psnr"]
    three = Protocol(2).measure(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1), grey=True)
    assert three["psnr_y"].item() == pytest.approx(values["psnr"].item())
    assert three["psnr_y"] != Protocol(2).measure(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1))["psnr_y"]


def test_invalid_inputs_are_refused():
    with pytest.raises(FacehallError, match="one shape"):
        Protocol(4).measure(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 36))
    with pytest.raises(FacehallError, match="nothing is left"):
        Protocol(4).measure(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    with pytest.raises(FacehallError, match=r"metrics\.lpips=squeeze"):
        build_protocol(4, lpips="squeeze")


def test_lpips_is_omitted_only_on_request(pretrained):
    assert "lpips" not in build_protocol(4, lpips="none").names
    protocol = build_protocol(4)
    assert protocol.names[-1] == "lpips"
    assert "LPIPS v0.1 alex" in protocol.description


PUBLISHED = [  # SelfExSR's tables and the papers since: bicubic, Y channel
    ("Set5", 2, 33.66, 0.9299),
    ("Set5", 3, 30.39, 0.8682),
    ("Set5", 4, 28.42, 0.8104),
    ("Set14", 2, 30.24, 0.8688),
    ("Set14", 3, 27.55, 0.7742),
    ("Set14", 4, 26.00, 0.7027),
]


@pytest.mark.skipif(not SHARED, reason="FACEHALL_SHARED does not name the folder with the benchmark images")
@pytest.mark.parametrize(("name", "scale", "decibels", "similarity"), PUBLISHED)
def test_published_bicubic_figures_are_reproduced(name, scale, decibels, similarity):
    measured = []
    for path in list_images(Path(SHARED) / "data" / "benchmark" / name / "HR"):
        picture = read_picture(path)
        hr = crop_to_multiple(to_tensor(picture.rgb)[None], scale)
        measured.append(Protocol(scale).measure(bicubic_sr(make_lr(hr, scale), scale), hr, grey=picture.grey))
    assert np.mean([values["psnr_y"].item() for values in measured]) == pytest.approx(decibels, abs=0.02)
    assert np.mean([values["ssim_y"].item() for values in measured]) == pytest.approx(similarity, abs=0.0005)


# ---------------------------------------------------------------- cost


def test_costs_by_hand():
    conv = nn.Conv2d(3, 8, 3, padding=1)
    assert count_parameters(conv) == 3 * 8 * 9 + 8
    assert count_gmacs(conv, torch.rand(2, 3, 10, 20)) == pytest.approx(2 * 3 * 8 * 9 * 200 / 1e9)


def test_each_network_is_timed():
    times = milliseconds({"small": nn.Identity(), "large": nn.Conv2d(3, 64, 9)}, torch.rand(1, 3, 64, 64), repeats=3)
    assert 0 < times["small"] < times["large"]
