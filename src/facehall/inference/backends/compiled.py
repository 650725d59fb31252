"""Backend with torch.compile: fused by inductor, with C++ on a CPU and Triton on a GPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from facehall.errors import FacehallError
from facehall.inference.backends.base import Backend
from facehall.inference.tracing import min_side
from facehall.models.generators import Generator


def compiled(generator: Generator, device: torch.device) -> Backend:
    """Compile `generator` once for all sizes; takes 15 to 40 s on two cores for the default network.

    Raises:
        FacehallError: if there is no compiler, or compilation fails.
    """
    network = copy.deepcopy(generator).to(device).to(memory_format=torch.channels_last)
    fused = torch.compile(network, dynamic=True)

    @torch.inference_mode()
    def run(lr: Tensor) -> Tensor:
        if min(lr.shape[-2:]) < min_side(generator):  # would trigger a recompilation
            return network(lr)
        return fused(lr.contiguous(memory_format=torch.channels_last))

    try:
        run(torch.rand(1, 3, 24, 40, device=device))
    except Exception as error:  # torch._dynamo and inductor raise many types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FacehallError(
            f"backend=compiled: torch.compile failed ({reason}). On a CPU it needs g++ (or CXX=…). "
            "Install a compiler, or choose another backend."
        ) from None
    return run
