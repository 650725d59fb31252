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


class _Computation(nn.Module):
    """Wraps an upscaler's `compute` as a module for timing; parameters and MACs are counted on its network."""

    def __init__(self, upscaler: Upscaler) -> None:
        super().__init__()
        self._compute = upscaler.compute

    def forward(self, lr: Tensor) -> Tensor:
        return self._compute(lr)


def measure_costs(upscalers: Sequence[Upscaler], lr: Tensor, device: torch.device, repeats: int) -> dict[str, Any]:
    """Measure parameters, GMACs, time and (on CUDA) peak memory of one pass with each upscaler's backend.

    Args:
        upscalers: the systems, timed in turn.
        lr: an image (3, h, w), cropped to `LARGEST_TIMED`, as nothing much larger is ever computed at once.
        device: the device they run on.
        repeats: timed passes; the median is reported.

    Returns:
        {system: its costs}, the size of the `input` and the name of the `device`.
    """
    example = lr[None, :, :LARGEST_TIMED, :LARGEST_TIMED].to(device)
    computations: dict[str, nn.Module] = {each.name: _Computation(each) for each in upscalers}
    times = milliseconds(computations, example, repeats)
    costs: dict[str, Any] = {"input": f"{example.shape[-1]}x{example.shape[-2]}", "device": _name(device)}
    for upscaler in upscalers:
        found: dict[str, float] = {}
        if upscaler.network is not None:
            found["parameters"] = count_parameters(upscaler.network)
            found["gmacs"] = count_gmacs(upscaler.network, example)
        found["ms_per_image"] = times[upscaler.name]
        peak = peak_memory_mib(computations[upscaler.name], example)
        if peak is not None:
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
