"""How strong the grid of dots is that upsampling leaves in flat regions: the checkerboard of Odena et al. (2016)."""

from __future__ import annotations

import torch
from torch import Tensor

CELLS = 8
"""Side of a block in grid cells: as fine as the spectrum is resolved."""


def grid_energy(images: Tensor, flat: Tensor, period: int, share: float = 0.25) -> Tensor:
    """Energy of what repeats with the LR grid, beyond what the spectrum around it would let one expect.

    A network that enlarges by `period` repeats its steps every `period` pixels, so whatever pattern they leave lies on
    the frequencies k / period alone; natural texture and noise are as strong beside them. Each half-overlapping block
    of CELLS periods is windowed (Hann), and the mean of the power around each of these frequencies is taken from the
    power on it. Only the flattest blocks count, where the eye finds such dots.

    Args:
        images: (B, C, H, W) in [0, 1].
        flat: (B, C, H, W), which says what is flat: HR, or the images themselves.
        period: pixels, at least 2: the scale, of which the periods of the single steps are divisors.
        share: of each image's blocks that count, in (0, 1].

    Returns:
        (B,) variance of the pattern, mean of the channels, in the images' units squared; about 0 without one, and a
        little less where the power falls away steeply. NaN where an image is smaller than a block.
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
    excess[:, 0, 0] = 0  # the mean, which is no pattern
    return excess.sum((-2, -1))


def _blocks(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, C, N, side, side), each overlapping half of the next."""
    step = side // 2
    blocks = images.unfold(-2, side, step).unfold(-2, side, step)
    return blocks.flatten(2, 3)


def _ring(power: Tensor) -> Tensor:
    """The mean power two or three bins away from each bin; the Hann window spreads a frequency by one only."""
    total, count = torch.zeros_like(power), 0
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            if max(abs(dy), abs(dx)) > 1:
                total += power.roll((dy, dx), (-2, -1))
                count += 1
    return total / count
