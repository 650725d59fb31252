"""Backend with convolutions in bfloat16 and images in float32."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from facehall.inference.backends.base import Backend
from facehall.models.generators import Generator

IMAGE_CHANNELS = (1, 3)
"""Luma and RGB."""


def bf16(generator: Generator, device: torch.device) -> Backend:
    """Return `generator` with bfloat16 weights and activations, channels last.

    Images stay in float32: convolutions that read RGB or luma round a copy of it, and the output of those that produce
    RGB or luma is cast to float32, in which the bicubic base is computed and added.
    """
    network = copy.deepcopy(generator).to(device, torch.bfloat16).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels in IMAGE_CHANNELS:
            module.register_forward_pre_hook(_round)
        if isinstance(module, nn.Conv2d) and module.out_channels in IMAGE_CHANNELS:
            module.register_forward_hook(_widen)
    return network


def _round(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    return inputs[0].to(dtype=torch.bfloat16, memory_format=torch.channels_last)


def _widen(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.float()


def has_native_bf16() -> bool:
    """Return whether this CPU has bfloat16 instructions; emulated bfloat16 is slower than float32."""
    return any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("avx512_bf16", "amx_tile"))
