"""Strength of checkerboard artefacts, the grid of dots left by upsampling in flat regions (Odena et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 8
"""Side of a block in grid periods; sets the resolution of the spectrum."""


def grid_energy(images: Tensor, flat: Tensor, period: int, share: float = 0.25) -> Tensor:
    """Return the energy at the frequencies of the LR grid in excess of the neighbouring spectrum.

    A network that upscales by `period` repeats its operations every `period` pixels, so any pattern it leaves lies
    exactly at the frequencies k / period, whereas natural texture and noise are as strong next to them. Each
    half-overlapping block of CELLS periods is windowed (Hann), and the mean power around each of these frequencies is
    subtracted from the power at it. Only the flattest blocks, where such dots are visible, are used.

    Args:
        images: (B, C, H, W) in [0, 1].
        flat: (B, C, H, W), the images that determine flatness: HR, or the images themselves.
        period: pixels, at least 2: the scale; the periods of single upsampling steps are divisors of it.
        share: fraction of each image's blocks that are used, in (0, 1].

    Returns:
        (B,) variance of the pattern, averaged over channels, in squared image units; about 0 without a pattern, and
        slightly negative where the spectrum falls steeply. NaN where an image is smaller than a block.
    """
    if period < 2 or not 0 < share <= 1:
        raise ValueError(f"a grid has a period of at least 2 pixels and share is in (0, 1], not {period} and {share}")
    side = CELLS * period
    if min(images.shape[-2:]) < side:
        return images.new_full((len(images),), torch.nan, dtype=torch.float32)
    blocks = _blocks(images.float(), side)  # (B, C, N, side, side)
    window = torch.hann_window(side, device=images.device)
    window = window[:, None] * window
    means = (blocks * window).sum((-2, -1), keepdim=True) / window.sum()
    power = torch.fft.fft2((blocks - means) * window).abs().square().mean(1) / window.sum().square()
    deviation = _blocks(flat.float(), side).var((1, -2, -1))  # (B, N)
    chosen = deviation.argsort(dim=1)[:, : max(1, round(share * deviation.shape[1]))]
    power = power.gather(1, chosen[..., None, None].expand(-1, -1, side, side)).mean(1)
    on, beside = power[:, ::CELLS, ::CELLS], _ring(power)[:, ::CELLS, ::CELLS]
    excess = on - beside
    excess[:, 0, 0] = 0  # the mean is not a pattern
    return excess.sum((-2, -1))


def _blocks(images: Tensor, side: int) -> Tensor:
    """Split into half-overlapping blocks: (B, C, H, W) -> (B, C, N, side, side)."""
    step = side // 2
    blocks = images.unfold(-2, side, step).unfold(-2, side, step)
    return blocks.flatten(2, 3)


def _ring(power: Tensor) -> Tensor:
    """Return the mean power two or three bins away from each bin; the Hann window spreads a frequency by one bin."""
    total, count = torch.zeros_like(power), 0
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            if max(abs(dy), abs(dx)) > 1:
                total += power.roll((dy, dx), (-2, -1))
                count += 1
    return total / count
