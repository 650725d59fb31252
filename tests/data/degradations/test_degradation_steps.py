"""Degradation steps: kernels, resampling, noise, JPEG."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facehall.data import SampleSource
from facehall.data.degradations.blur import Blur, Sinc
from facehall.data.degradations.jpeg import Jpeg
from facehall.data.degradations.light import Darken, WhiteBalance
from facehall.data.degradations.noise import GaussianNoise, PoissonNoise, poisson
from facehall.data.degradations.resize import Resize
from facehall.data.degradations.steps import Sizes
from facehall.imaging import read_rgb

SIZES = Sizes((48, 40), (12, 10))


@pytest.fixture(scope="module")
def photograph():
    """(48, 40, 3) in [0, 1]."""
    rgb = read_rgb(SampleSource().split("val")[0].hr)[20:212:4, 150:310:4]
    return np.ascontiguousarray(rgb, dtype=np.float32) / 255


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic", "matlab"])
@pytest.mark.parametrize(
    ("factor", "of", "size"), [(0.37, "hr", (18, 15)), (1.43, "hr", (69, 57)), (1.0, "lr", (12, 10))]
)
def test_resizing_gives_the_size_and_keeps_the_mean(photograph, mode, factor, of, size):
    resized = Resize(factor, of, mode).apply(photograph, SIZES)
    assert resized.shape == (*size, 3)
    assert resized.mean() == pytest.approx(photograph.mean(), abs=0.01)


def test_an_elongated_blur_is_the_sum_over_its_kernel(photograph):
    """Compute one pixel by definition in double precision."""
    step, (y, x) = Blur("gaussian", 21, [5.0, 2.0], 0.7), (24, 20)
    window = photograph[y - 10 : y + 11, x - 10 : x + 11].astype(np.float64)
    expected = (window * step.kernel()[..., None].astype(np.float64)).sum((0, 1))
    assert step.apply(photograph, SIZES)[y, x] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "step", [Blur("gaussian", 41, [5.0, 5.0]), Blur("plateau", 21, [2.0, 1.0], -1.0, 1.7), Sinc(7, 2.0)]
)
def test_blur_mirrors_the_picture_at_its_border(photograph, step):
    margin = 20
    larger = np.pad(photograph, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    inner = step.apply(larger, SIZES)[margin:-margin, margin:-margin]
    np.testing.assert_allclose(step.apply(photograph, SIZES), inner, atol=2e-6)


def test_light_steps_match_hand_computed_values():
    image = np.full((2, 2, 3), 0.5, np.float32)
    assert Darken(0.9, 0.7, 3.1).apply(image, SIZES) == pytest.approx(0.7 * 0.45**3.1, rel=1e-5)
    white = WhiteBalance([1.2, 1.0, 3.0]).apply(image, SIZES)
    assert white[0, 0] == pytest.approx([0.6, 0.5, 1.0])


def test_a_patch_has_the_jpeg_blocks_of_its_photograph(photograph):
    """With a fixed block grid, a network could infer block positions from the patch border."""
    y, x = 5, 9
    photograph = np.tile(photograph, (2, 2, 1))
    whole = Jpeg(40).apply(photograph, SIZES)[y:, x:]
    patch = np.ascontiguousarray(photograph[y:, x:])
    inner = np.s_[16:-16, 16:-16]
    assert np.array_equal(Jpeg(40, (y, x)).apply(patch, SIZES)[inner], whole[inner])
    assert not np.array_equal(Jpeg(40).apply(patch, SIZES)[inner], whole[inner])


def test_jpeg_leaves_flat_colours_of_blocks_alone():
    grey = np.full((16, 16, 3), 128 / 255, np.float32)
    assert np.array_equal(Jpeg(50).apply(grey, SIZES), grey)


def test_lower_quality_is_less_similar(photograph):
    errors = [((Jpeg(q).apply(photograph, SIZES) - photograph) ** 2).mean() for q in (95, 80, 60, 40, 20)]
    assert errors == sorted(errors)


@given(
    st.sampled_from(["gaussian", "generalized", "plateau"]),
    st.integers(0, 20),
    st.tuples(*[st.floats(0.05, 20)] * 2),
    st.floats(-4, 4),
    st.floats(0.5, 4),
)
def test_kernels_sum_to_one_and_are_symmetric(shape, radius, sigma, angle, beta):
    kernel = Blur(shape, 2 * radius + 1, sigma, angle, beta).kernel()
    assert kernel.shape == (2 * radius + 1,) * 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


@given(st.integers(3, 10), st.floats(1.1, 3.1))
def test_sinc_kernels_sum_to_one_and_ring(radius, cutoff):
    kernel = Sinc(2 * radius + 1, cutoff).kernel()
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.max() == kernel[radius, radius]
    assert kernel.min() < 0


def test_a_gaussian_has_the_given_standard_deviations():
    """Compare second moments along the rotated axes."""
    kernel = Blur("gaussian", 41, [4.0, 2.0], np.pi / 2).kernel().astype(np.float64)
    axis = np.arange(41) - 20
    assert (kernel.sum(1) * axis**2).sum() == pytest.approx(16, rel=1e-3)
    assert (kernel.sum(0) * axis**2).sum() == pytest.approx(4, rel=1e-3)
    tilted = Blur("gaussian", 41, [4.0, 2.0], np.pi / 4).kernel()
    assert (tilted * axis[:, None] * axis[None]).sum() == pytest.approx((16 - 4) / 2, rel=1e-2)


def test_an_even_kernel_size_is_rejected():
    with pytest.raises(ValueError, match="must be odd, not 4"):
        Blur("gaussian", 4, [1.0, 1.0]).kernel()


def test_a_round_gaussian_is_the_same_whether_separated_or_not(photograph):
    step = Blur("gaussian", 41, [3.0, 3.0])
    whole = cv2.filter2D(photograph, -1, step.kernel(), borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(step.apply(photograph, SIZES), whole, atol=2e-6)


@pytest.mark.parametrize("light", [1, 3, 10, 100, 1000])
def test_photon_counts_follow_the_poisson_distribution(light):
    normals = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = poisson(torch.full_like(normals, light), normals).numpy()
    assert np.array_equal(counts, counts.round())
    assert counts.mean() == pytest.approx(light, rel=0.02)
    assert counts.var() == pytest.approx(light, rel=0.05)
    exact = np.random.default_rng(1).poisson(light, counts.size)
    below = [np.mean(counts <= level) - np.mean(exact <= level) for level in np.unique(exact)]
    assert np.abs(below).max() < 0.02


def test_zero_light_gives_zero_photons():
    assert not poisson(torch.zeros(1000), torch.linspace(-5, 5, 1000)).any()


def test_grey_noise_is_the_same_in_all_channels():
    image = np.full((32, 32, 3), 0.5, np.float32)
    for kind in (lambda grey: GaussianNoise(0.1, grey, 1), lambda grey: PoissonNoise(256, 1.0, grey, 1)):
        grey, colour = kind(True).apply(image, SIZES), kind(False).apply(image, SIZES)
        assert np.ptp(grey, axis=2).max() < 1e-6
        assert np.ptp(colour, axis=2).max() > 0.05


def test_noise_has_the_given_strength():
    image = np.full((256, 256, 3), 0.25, np.float32)
    assert GaussianNoise(0.02, False, 1).apply(image, SIZES).std() == pytest.approx(0.02, rel=0.02)
    assert PoissonNoise(400, 1.0, False, 1).apply(image, SIZES).std() == pytest.approx(np.sqrt(0.25 / 400), rel=0.02)


def test_loaders_run_opencv_on_one_thread():
    assert cv2.getNumThreads() == 1
