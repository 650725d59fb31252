"""Peak signal-to-noise ratio."""

from __future__ import annotations

from torch import Tensor


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the PSNR of each image in dB: (B, C, H, W) in [0, 1], C 1 or 3 -> (B,) float64.

    10 log10(1 / MSE), with the MSE over channels and pixels of one image; equivalent to MAX = 255 on 8-bit levels.
    Identical images give +inf, as does any mean that includes them. They are neither dropped nor capped, as they are
    nearly always a mistake (HR measured against itself).
    """
    if sr.shape != hr.shape or sr.ndim != 4:
        raise ValueError(
            f"psnr needs two batches (B, C, H, W) of one shape, not {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
    mse = (sr.double() - hr.double()).square().mean(dim=(1, 2, 3))
    return -10 * mse.log10()
