"""Structural similarity."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from facehall.errors import FacehallError

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the SSIM of each image: (B, C, H, W) in [0, 1] -> (B,) float64, mean over channels and valid positions.

    Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", eq. 13: Gaussian
    window 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population covariances, only windows entirely inside the image.
    In float64, because variances are differences of nearly equal numbers. Raises FacehallError below 11 pixels.
    """
    luminance, structure = ssim_maps(sr, hr)
    return (luminance * structure).mean(dim=(1, 2, 3))


def ssim_maps(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two factors of `ssim` at each position, luminance and contrast-structure; differentiable.

    Shapes: two (B, C, H, W) in [0, 1] -> two (B, C, H - 10, W - 10) float64.
    """
    if sr.shape != hr.shape or sr.ndim != 4:
        raise ValueError(
            f"ssim needs two batches (B, C, H, W) of one shape, not {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
    batch, channels, height, width = sr.shape
    if min(height, width) < WINDOW:
        raise FacehallError(
            f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, but {height}x{width} are left after cropping "
            "the border. Exclude such images from the evaluation."
        )
    x, y = sr.double().flatten(0, 1), hr.double().flatten(0, 1)
    mean_x, mean_y, xx, yy, xy = _blur(torch.stack((x, y, x * x, y * y, x * y)))
    c1, c2 = K1**2, K2**2
    var_x, var_y, cov = xx - mean_x * mean_x, yy - mean_y * mean_y, xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * cov + c2) / (var_x + var_y + c2)
    return luminance.unflatten(0, (batch, channels)), structure.unflatten(0, (batch, channels))


def _blur(maps: Tensor) -> Tensor:
    """Compute Gaussian-weighted means, separably: (..., H, W) -> (..., H - 10, W - 10)."""
    kernel = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for i in range(WINDOW)]
    total = sum(kernel)
    # Sums of shifted views: several times faster on a CPU than a float64 convolution.
    for dim in (-1, -2):
        size = maps.shape[dim] - WINDOW + 1
        means = maps.narrow(dim, 0, size) * (kernel[0] / total)
        for shift in range(1, WINDOW):
            means = means.add_(maps.narrow(dim, shift, size), alpha=kernel[shift] / total)
        maps = means
    return maps
