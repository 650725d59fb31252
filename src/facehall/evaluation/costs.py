"""Costs of the evaluated systems: parameters, multiply-accumulates, time, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facehall.metrics import count_gmacs, count_parameters, milliseconds, peak_memory_mib
from facehall.systems import Upscaler

LARGEST_TIMED = 256
"""Largest side of the LR image used to measure costs, in pixels."""
SLOW = 5.0
"""Seconds of a pass above which a system is timed only once."""


class _Computation(nn.Module):
    """Wraps an upscaler's `compute` as a module for timing; parameters and MACs are counted on its network."""

    def __init__(self, upscaler: Upscaler) -> None:
        super().__init__()
        self._compute = upscaler.compute

    def forward(self, lr: Tensor) -> Tensor:
        return self._compute(lr)


def measure_costs(
    upscalers: Sequence[Upscaler], lr: Tensor, device: torch.device, repeats: int, largest: int | None = None
) -> dict[str, Any]:
    """Measure parameters, GMACs, time and (on CUDA) peak memory of one pass with each upscaler's backend.

    Args:
        upscalers: the systems, timed in turn.
        lr: an image (3, h, w), cropped to `largest`, as nothing much larger is ever computed at once.
        device: the device they run on.
        repeats: timed passes; the median is reported. Systems whose first pass takes more than `SLOW` seconds are timed
            by that pass alone.
        largest: largest side of the input in pixels; None: `LARGEST_TIMED`.

    Returns:
        {system: its costs}, the size of the `input`, the name of the `device`, and the systems `timed_once`.
    """
    side = LARGEST_TIMED if largest is None else largest
    example = lr[None, :, :side, :side].to(device)
    computations: dict[str, nn.Module] = {each.name: _Computation(each) for each in upscalers}
    times = {name: milliseconds({name: each}, example, 1, warmup=0)[name] for name, each in computations.items()}
    slow = [name for name, elapsed in times.items() if elapsed > 1000 * SLOW]
    times |= milliseconds({name: each for name, each in computations.items() if name not in slow}, example, repeats)
    costs: dict[str, Any] = {
        "input": f"{example.shape[-1]}x{example.shape[-2]}",
        "device": _name(device),
        "timed_once": slow,
    }
    for upscaler in upscalers:
        found: dict[str, float] = {}
        if upscaler.network is not None:
            found["parameters"] = count_parameters(upscaler.network)
            found["gmacs"] = count_gmacs(upscaler.network, example)
        found["ms_per_image"] = times[upscaler.name]
        if (peak := peak_memory_mib(computations[upscaler.name], example)) is not None:
            found["peak_mib"] = peak
        costs[upscaler.name] = found
    return costs


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"the CPU with {threads} thread{'' if threads == 1 else 's'}"
