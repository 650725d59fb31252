"""Receptive field of a network: the context that tiles need to match the whole picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from facehall.models.generators import Generator

MAX_RADIUS = 1024
"""Upper limit of the radius in LR pixels; networks with a global receptive field get this value."""
TOLERANCE = 1 / 16 / 255
"""Largest change at distance `effective_radius` from a cut: a sixteenth of an 8-bit level."""
MARGIN = 1.25
"""Ratio of the overlap to the effective radius, because pictures differ from the probe."""


@torch.inference_mode()
def receptive_radius(generator: Generator) -> int:
    """Return the radius of the theoretical receptive field in LR pixels.

    It is measured, so that it is valid for any network: a NaN in the input propagates to exactly the outputs that
    depend on it, whatever the weights. 66 for the default x4 network, 350 for the public RRDBNet of 23 blocks.
    """
    # float64 on the CPU uses direct convolution; fast algorithms (Winograd, FFT) would spread the NaN further.
    state = {
        name: tensor.to("cpu", torch.float64 if tensor.is_floating_point() else None)
        for name, tensor in generator.state_dict().items()
    }
    rows = 16 if generator.eager_only else 1  # classical methods need room for a patch
    half = 32
    while half < MAX_RADIUS:
        radii, inside = [], True
        for place in range(half, half + generator.cell):  # it may depend on the place within a cell
            lr = torch.full((1, 3, rows, 2 * half + generator.cell), 0.5, dtype=torch.float64)
            lr[..., place] = torch.nan
            sr = functional_call(generator, state, lr)
            affected = sr.isnan().any(dim=-2).any(dim=1)[0].reshape(-1, generator.scale).any(dim=1).nonzero()
            first, last = int(affected.min()), int(affected.max())
            inside = inside and first > 0 and last < lr.shape[-1] - 1
            radii.append(max(place - first, last - place))
        if inside:
            return max(radii)
        half *= 2
    return MAX_RADIUS


@torch.inference_mode()
def effective_radius(network: Callable[[Tensor], Tensor], scale: int, device: torch.device, limit: int) -> int:
    """Return the radius of the effective receptive field: the distance in LR pixels beyond which a cut changes the
    output, clamped to [0, 1], by at most TOLERANCE.

    In deep networks, influence falls by orders of magnitude within a few pixels. A worst-case probe, black and white
    blocks and noise, is computed whole and cut in half from each of its four sides.

    Args:
        network: (1, 3, h, w) -> (1, 3, s h, s w) on `device`.
        limit: the theoretical radius, an upper bound of the result.
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
    """Return the distance in LR pixels of the farthest change from a cut through the middle; -1 if nothing changes.

    `turns` quarter turns select the side of the cut; the network always sees the probe in its original orientation.
    """
    half = probe.shape[-1] // 2
    kept = torch.rot90(torch.rot90(probe, turns, (-2, -1))[..., half:, :], -turns, (-2, -1)).contiguous()
    part = torch.rot90(network(kept).clamp(0, 1), turns, (-2, -1))
    change = (part - torch.rot90(whole, turns, (-2, -1))[..., half * scale :, :]).abs().amax(dim=(0, 1, 3))
    changed = (change > TOLERANCE).nonzero()
    return int(changed.max()) // scale if len(changed) else -1


def _probe(side: int) -> Tensor:
    """Return an image (1, 3, side, side) of black and white blocks of 8 pixels, every other one filled with noise."""
    random = torch.Generator().manual_seed(0)
    count = math.ceil(side / 8)
    blocks = torch.randint(0, 2, (3, count, count), generator=random).float()
    blocks = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)[None, :, :side, :side]
    noise = torch.randint(0, 2, (1, 3, side, side), generator=random).float()
    place = torch.arange(side) // 8
    return torch.where((place[:, None] + place) % 2 == 0, blocks, noise)


def overlap(generator: Generator, device: torch.device) -> int:
    """Return the context in LR pixels that tiles of a network on `device` need to match the whole picture.

    The effective radius plus a margin, but at most the theoretical one. Backends with lower precision need the same;
    measured on them, their rounding, which a cut changes everywhere, would hide it.
    """
    limit = receptive_radius(generator)
    measured = effective_radius(generator, generator.scale, device, limit)
    return min(limit, 4 * math.ceil(MARGIN * measured / 4))
