"""How far a network looks: the context that a tile needs so that it comes out as in the whole picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from facehall.models.generators import Generator

LIMIT = 1024
"""LR pixels beyond which no reach is looked for: a network that looks at the whole picture has this one."""
TOLERANCE = 1 / 16 / 255
"""What a cut may change at the distance that `measured_reach` gives: a sixteenth of an 8-bit level."""
MARGIN = 1.25
"""Pictures differ from the probe: so many times the measured distance is the overlap."""


@torch.inference_mode()
def reach(generator: Generator) -> int:
    """The exact reach in LR pixels: how far from a pixel of the input a value of the output can depend on it.

    Measured, not derived, so that it holds for any network: a NaN spreads through every convolution that sees it,
    whatever the weights, and by nothing else. 66 for the default x4 network, 350 for the public RRDBNet of 23 blocks.
    """
    # Doubles on the CPU are convolved plainly; fast convolutions (Winograd's, by FFT) mix what a plain one keeps apart.
    state = {name: tensor.to("cpu", torch.float64) for name, tensor in generator.state_dict().items()}
    half = 32
    while half < LIMIT:
        lr = torch.full((1, 3, 1, 2 * half + 1), 0.5, dtype=torch.float64)
        lr[..., half] = torch.nan
        sr = functional_call(generator, state, lr)
        touched = sr.isnan().any(dim=-2).any(dim=1)[0].reshape(-1, generator.scale).any(dim=1).nonzero()
        first, last = int(touched.min()), int(touched.max())
        if first > 0 and last < 2 * half:
            return max(half - first, last - half)
        half *= 2
    return LIMIT


@torch.inference_mode()
def measured_reach(network: Callable[[Tensor], Tensor], scale: int, device: torch.device, limit: int) -> int:
    """The distance in LR pixels from where on a cut changes the picture by at most TOLERANCE, clamped to [0, 1].

    Of a deep network's reach little counts: influence falls by orders of magnitude within a few pixels. A probe as hard
    as pictures get, black and white blocks and noise, is computed whole and cut in half on each of its four sides.

    Args:
        network: (1, 3, h, w) -> (1, 3, s h, s w) on `device`.
        limit: the exact reach; the answer is not more.
    """
    half = 32
    while half < limit:
        probe = _probe(2 * half).to(device)
        whole = network(probe).clamp(0, 1)
        distance = 1 + max(_last_change(network, probe, whole, scale, turns) for turns in range(4))
        if distance <= half // 2:
            return min(distance, limit)
        half *= 2
    return limit


def _last_change(network: Callable[[Tensor], Tensor], probe: Tensor, whole: Tensor, scale: int, turns: int) -> int:
    """Distance in LR pixels of the farthest change behind a cut through the middle; -1 where nothing changes.

    The cut is horizontal; the probe is turned by `turns` quarters before, and what is computed is turned back, so
    that the network sees the probe as it is.
    """
    half = probe.shape[-1] // 2
    kept = torch.rot90(torch.rot90(probe, turns, (-2, -1))[..., half:, :], -turns, (-2, -1)).contiguous()
    part = torch.rot90(network(kept).clamp(0, 1), turns, (-2, -1))
    change = (part - torch.rot90(whole, turns, (-2, -1))[..., half * scale :, :]).abs().amax(dim=(0, 1, 3))
    changed = (change > TOLERANCE).nonzero()
    return int(changed.max()) // scale if len(changed) else -1


def _probe(side: int) -> Tensor:
    """(1, 3, side, side): black and white blocks of 8 pixels, every other one filled with noise."""
    random = torch.Generator().manual_seed(0)
    count = math.ceil(side / 8)
    blocks = torch.randint(0, 2, (3, count, count), generator=random).float()
    blocks = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)[None, :, :side, :side]
    noise = torch.randint(0, 2, (1, 3, side, side), generator=random).float()
    place = torch.arange(side) // 8
    return torch.where((place[:, None] + place) % 2 == 0, blocks, noise)


def overlap(generator: Generator, device: torch.device) -> int:
    """The context in LR pixels with which the tiles of a network on `device` are the whole picture.

    The measured reach with a margin, or the exact one where that is less. A backend of fewer bits has the same one;
    its rounding, which a cut changes everywhere, would hide it.
    """
    limit = reach(generator)
    measured = measured_reach(generator, generator.scale, device, limit)
    return min(limit, 4 * math.ceil(MARGIN * measured / 4))
